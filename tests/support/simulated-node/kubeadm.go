package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func kubeadm(args []string) error {
	flags, words := parse(args)
	switch strings.Join(words, " ") {
	case "init":
		return initNode(flags)
	case "init phase upload-certs":
		return uploadCerts(flags)
	case "join":
		return join(flags)
	case "reset":
		return reset(flags)
	case "version":
		fmt.Println(kubernetesVersion)
		return nil
	}
	if len(words) >= 2 && words[0] == "token" {
		return token(words[1], words[2:], flags)
	}
	return fmt.Errorf("simulated kubeadm: %s: unknown command", strings.Join(words, " "))
}

var switches = map[string]bool{"skip-token-print": true, "upload-certs": true, "f": true, "force": true, "print-join-command": true}

func parse(args []string) (map[string]string, []string) {
	flags, words := map[string]string{}, []string{}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			words = append(words, args[i])
			continue
		}
		name, value, ok := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !ok && !switches[name] && i+1 < len(args) {
			i++
			value = args[i]
		}
		flags[name] = value
	}
	return flags, words
}

// A test holds a verb at one of its phases: /run/simulated/hold has "join etcd-add". It goes on when `released` is there.
func phase(verb, name, say string) {
	fmt.Printf("[%s] %s\n", strings.SplitN(name, "/", 2)[0], say)
	text, err := os.ReadFile("/run/simulated/hold")
	if err != nil || strings.TrimSpace(string(text)) != verb+" "+name {
		return
	}
	os.Remove("/run/simulated/hold")
	os.WriteFile("/run/simulated/held", []byte(fmt.Sprint(os.Getpid())), 0o644)
	for !exists("/run/simulated/released") {
		time.Sleep(20 * time.Millisecond)
	}
	os.Remove("/run/simulated/released")
}

type settings struct {
	name, address, endpoint, token, apiServer, certificateKey string
	caHashes                                                  []string
	controlPlane                                              bool
	limit                                                     time.Duration
}

func readSettings(file string) (*settings, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text := string(raw)
	find := func(pattern string) string {
		match := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(text)
		if match == nil {
			return ""
		}
		return strings.Trim(match[1], `"'`)
	}
	limit, err := time.ParseDuration(find(`^\s+etcdAPICall: (\S+)`))
	if err != nil {
		limit = 30 * time.Second
	}
	return &settings{
		name:           find(`^nodeRegistration:\n(?:  .*\n)*?  name: (\S+)`),
		address:        find(`advertiseAddress: (\S+)`),
		endpoint:       find(`controlPlaneEndpoint: (\S+)`),
		token:          find(`^\s+token: (\S+)`),
		apiServer:      find(`apiServerEndpoint: (\S+)`),
		certificateKey: find(`certificateKey: (\S+)`),
		caHashes:       regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindAllString(text, -1),
		controlPlane:   regexp.MustCompile(`(?m)^controlPlane:`).MatchString(text),
		limit:          limit,
	}, nil
}

func preflight(verb string, flags map[string]string, controlPlane bool) error {
	phase(verb, "preflight", "Running pre-flight checks")
	var wrong []string
	file := func(path string) {
		if exists(path) {
			wrong = append(wrong, fmt.Sprintf("\t[ERROR FileAvailable-%s]: %s already exists", strings.ReplaceAll(path, "/", "-"), path))
		}
	}
	dir := func(path string) {
		if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
			wrong = append(wrong, fmt.Sprintf("\t[ERROR DirAvailable-%s]: %s is not empty", strings.ReplaceAll(path, "/", "-"), path))
		}
	}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"} {
		if verb == "init" {
			file(filepath.Join(manifestDir, name+".yaml"))
		}
	}
	if verb == "join" {
		dir(manifestDir)
		file(kubeletConf)
		file(bootstrapConf)
		if !controlPlane {
			file(filepath.Join(pkiDir, "ca.crt"))
		}
	}
	if controlPlane {
		dir(etcdData)
	}
	if len(wrong) > 0 {
		return errors.New("preflight: [preflight] Some fatal errors occurred:\n" + strings.Join(wrong, "\n"))
	}
	return nil
}

func initNode(flags map[string]string) error {
	config, err := readSettings(flags["config"])
	if err != nil {
		return err
	}
	if !strings.Contains(flags["skip-phases"], "preflight") {
		if err := preflight("init", flags, true); err != nil {
			return err
		}
	}
	phase("init", "certs", "Using certificateDir folder \""+pkiDir+"\"")
	host, _, _ := strings.Cut(config.endpoint, ":")
	if err := makeCerts(config.name, config.address, host); err != nil {
		return err
	}
	phase("init", "kubeconfig", "Using kubeconfig folder \""+etcKubernetes+"\"")
	if err := controlPlaneConfs(config.name, config.endpoint, true); err != nil {
		return err
	}
	phase("init", "etcd", "Creating static Pod manifest for local etcd in \""+manifestDir+"\"")
	if err := writeEtcd(config.name, config.address, nil); err != nil {
		return err
	}
	phase("init", "control-plane", "Using manifest folder \""+manifestDir+"\"")
	if err := writeManifests(config.address); err != nil {
		return err
	}
	phase("init", "kubelet-start", "Starting the kubelet")
	if err := startKubelet(config.name); err != nil {
		return err
	}
	phase("init", "wait-control-plane", "Waiting for the kubelet to boot up the control plane")
	local, err := localAPI(config.address)
	if err != nil {
		return err
	}
	if err := retry("wait-control-plane: the API server is not healthy", config.limit, func() error { return ready(local) }); err != nil {
		return err
	}
	phase("init", "upload-config", "Storing the configuration used in ConfigMap \"kubeadm-config\"")
	api, err := newAPI(adminConf)
	if err != nil {
		return err
	}
	if err := uploadConfig(api, config); err != nil {
		return err
	}
	phase("init", "mark-control-plane", "Marking the node "+config.name+" as control-plane")
	if err := markControlPlane(api, config); err != nil {
		return err
	}
	phase("init", "bootstrap-token", "Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles")
	ca, _ := os.ReadFile(filepath.Join(pkiDir, "ca.crt"))
	info := kubeconfig(config.endpoint, "", ca, nil, nil)
	return api.apply("/api/v1/namespaces/kube-public/configmaps", "cluster-info", object{"metadata": object{"name": "cluster-info"}, "data": object{"kubeconfig": string(info)}})
}

func controlPlaneConfs(name, endpoint string, first bool) error {
	confs := []struct {
		file, user string
		groups     []string
	}{
		{adminConf, "kubernetes-admin", []string{"kubeadm:cluster-admins"}},
		{etcKubernetes + "/controller-manager.conf", "system:kube-controller-manager", nil},
		{etcKubernetes + "/scheduler.conf", "system:kube-scheduler", nil},
	}
	if first {
		confs = append(confs, confs[0])
		confs[3].file, confs[3].user, confs[3].groups = etcKubernetes+"/super-admin.conf", "kubernetes-super-admin", []string{"system:masters"}
		confs = append(confs, confs[0])
		confs[4].file, confs[4].user, confs[4].groups = kubeletConf, "system:node:"+name, []string{"system:nodes"}
	}
	for _, conf := range confs {
		if err := writeKubeconfig(conf.file, endpoint, conf.user, conf.groups); err != nil {
			return err
		}
	}
	return nil
}

// members: of the cluster that is joined, nil for a new one.
func writeEtcd(name, address string, members []member) error {
	peer := "https://" + address + ":2380"
	cluster, state := []string{name + "=" + peer}, ""
	if members != nil {
		cluster, state = nil, "    - --initial-cluster-state=existing\n"
		for _, one := range members {
			if one.Name == "" && one.PeerURLs[0] == peer {
				one.Name = name
			}
			cluster = append(cluster, one.Name+"="+one.PeerURLs[0])
		}
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://%[2]s:2379
  labels:
    component: etcd
    tier: control-plane
  name: etcd
  namespace: kube-system
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://%[2]s:2379
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --client-cert-auth=true
    - --data-dir=/var/lib/etcd
    - --feature-gates=InitialCorruptCheck=true
    - --initial-advertise-peer-urls=%[3]s
    - --initial-cluster=%[4]s
%[5]s    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --listen-client-urls=https://127.0.0.1:2379,https://%[2]s:2379
    - --listen-metrics-urls=http://127.0.0.1:2381
    - --listen-peer-urls=%[3]s
    - --name=%[1]s
    - --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt
    - --peer-client-cert-auth=true
    - --peer-key-file=/etc/kubernetes/pki/etcd/peer.key
    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --snapshot-count=10000
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --watch-progress-notify-interval=5s
    image: registry.k8s.io/etcd:3.6.5-0
    name: etcd
  hostNetwork: true
`, name, address, peer, strings.Join(cluster, ","), state)
	return writeManifest("etcd", text)
}

func writeManifests(address string) error {
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    component: %[1]s\n    tier: control-plane\n  name: %[1]s\n  namespace: kube-system\nspec:\n  containers:\n  - command:\n    - %[1]s\n    - --advertise-address=%[2]s\n    image: registry.k8s.io/%[1]s:%[3]s\n    name: %[1]s\n  hostNetwork: true\n", name, address, kubernetesVersion)
		if err := writeManifest(name, text); err != nil {
			return err
		}
	}
	return nil
}

func writeManifest(name, text string) error {
	os.MkdirAll(manifestDir, 0o755)
	file := filepath.Join(manifestDir, name+".yaml")
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func startKubelet(name string) error {
	os.MkdirAll("/var/lib/kubelet", 0o755)
	flags := "KUBELET_KUBEADM_ARGS=\"--hostname-override=" + name + "\"\n"
	if err := os.WriteFile("/var/lib/kubelet/kubeadm-flags.env", []byte(flags), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(kubeletConfig, []byte("kind: KubeletConfiguration\n"), 0o644); err != nil {
		return err
	}
	return exec.Command("systemctl", "start", "kubelet").Run()
}

func ready(api *apiClient) error {
	_, err := api.do("GET", "/readyz", nil)
	return err
}

func localAPI(address string) (*apiClient, error) {
	text, err := os.ReadFile(adminConf)
	if err != nil {
		return nil, err
	}
	api, err := apiOf(text)
	if err == nil {
		api.server = address + ":6443"
	}
	return api, err
}

func uploadConfig(api *apiClient, config *settings) error {
	data := fmt.Sprintf("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: %s\nkubernetesVersion: %s\n", config.endpoint, kubernetesVersion)
	value := object{"metadata": object{"name": "kubeadm-config"}, "data": object{"ClusterConfiguration": data}}
	return api.apply("/api/v1/namespaces/kube-system/configmaps", "kubeadm-config", value)
}

func markControlPlane(api *apiClient, config *settings) error {
	labels := object{"metadata": object{"labels": object{"node-role.kubernetes.io/control-plane": ""}}}
	return retry("mark-control-plane", config.limit, func() error {
		_, err := api.do("PATCH", "/api/v1/nodes/"+config.name, labels)
		return err
	})
}

func secretsPath(name string) (string, string) {
	return "/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/kube-system/secrets/" + name
}

func uploadCerts(flags map[string]string) error {
	api, err := newAPI(orDefault(flags["kubeconfig"], adminConf))
	if err != nil {
		return err
	}
	key := flags["certificate-key"]
	if key == "" {
		raw := make([]byte, 32)
		rand.Read(raw)
		key = hex.EncodeToString(raw)
	}
	sum := sha256.Sum256([]byte(key))
	data := object{"key": base64.StdEncoding.EncodeToString(sum[:])}
	for _, name := range sharedCerts {
		text, err := os.ReadFile(filepath.Join(pkiDir, name))
		if err != nil {
			return err
		}
		data[strings.ReplaceAll(name, "/", "-")] = base64.StdEncoding.EncodeToString(text)
	}
	fmt.Println("[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace")
	collection, _ := secretsPath("")
	value := object{"metadata": object{"name": "kubeadm-certs"}, "data": data}
	if err := api.apply(collection, "kubeadm-certs", value); err != nil {
		return err
	}
	fmt.Printf("[upload-certs] Using certificate key:\n%s\n", key)
	return nil
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func token(verb string, words []string, flags map[string]string) error {
	api, err := newAPI(orDefault(flags["kubeconfig"], adminConf))
	if err != nil {
		return err
	}
	collection, _ := secretsPath("")
	switch verb {
	case "create":
		ttl, err := time.ParseDuration(orDefault(flags["ttl"], "24h"))
		if err != nil {
			return err
		}
		raw := make([]byte, 11)
		rand.Read(raw)
		text := hex.EncodeToString(raw)
		id, secret := text[:6], text[6:22]
		if len(words) > 0 {
			id, secret, _ = strings.Cut(words[0], ".")
		}
		data := object{
			"token-id": b64(id), "token-secret": b64(secret), "description": b64(flags["description"]),
			"expiration": b64(time.Now().Add(ttl).UTC().Format(time.RFC3339)),
		}
		if err := api.apply(collection, "bootstrap-token-"+id, object{"metadata": object{"name": "bootstrap-token-" + id}, "type": "bootstrap.kubernetes.io/token", "data": data}); err != nil {
			return err
		}
		fmt.Println(id + "." + secret)
		return nil
	case "delete":
		for _, word := range words {
			id, _, _ := strings.Cut(word, ".")
			if _, err := api.do("DELETE", collection+"/bootstrap-token-"+id, nil); err != nil {
				return err
			}
			fmt.Printf("bootstrap token %q deleted\n", id)
		}
		return nil
	case "list":
		list, err := api.do("GET", collection, nil)
		if err != nil {
			return err
		}
		items, _ := list["items"].([]any)
		for _, item := range items {
			meta, _ := item.(object)["metadata"].(object)
			name, _ := meta["name"].(string)
			data, _ := item.(object)["data"].(object)
			if id, ok := strings.CutPrefix(name, "bootstrap-token-"); ok {
				text := func(field string) string {
					value, _ := data[field].(string)
					out, _ := base64.StdEncoding.DecodeString(value)
					return string(out)
				}
				fmt.Printf("%s.%s %s %s\n", id, text("token-secret"), text("expiration"), text("description"))
			}
		}
		return nil
	}
	return fmt.Errorf("simulated kubeadm: token %s: unknown", verb)
}

// The cluster's CA, by its hash, from whoever answers at the endpoint.
func discover(config *settings) (*apiClient, error) {
	open := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := open.Get("https://" + config.apiServer + "/api/v1/namespaces/kube-public/configmaps/cluster-info")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	match := regexp.MustCompile(`certificate-authority-data: ([A-Za-z0-9+/=]+)`).FindSubmatch(text)
	if match == nil {
		return nil, fmt.Errorf("discovery: no cluster-info: %s", text)
	}
	caPEM, _ := base64.StdEncoding.DecodeString(string(match[1]))
	block, _ := pem.Decode(caPEM)
	if block == nil {
		return nil, errors.New("discovery: no CA")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	for _, hash := range config.caHashes {
		if hash == caHash(ca) {
			conf := fmt.Sprintf("    certificate-authority-data: %s\n    server: https://%s\n    token: %s\n", match[1], config.apiServer, config.token)
			return apiOf([]byte(conf))
		}
	}
	return nil, fmt.Errorf("discovery: public key %s not pinned", caHash(ca))
}

func join(flags map[string]string) error {
	config, err := readSettings(flags["config"])
	if err != nil {
		return err
	}
	if err := preflight("join", flags, config.controlPlane); err != nil {
		return err
	}
	var api *apiClient
	if err := retry("discovery", config.limit, func() error {
		if api, err = discover(config); err != nil {
			return err
		}
		_, err = api.do("GET", "/api/v1/namespaces/kube-system/configmaps/kubeadm-config", nil)
		if hasCode(err, 401) {
			return fmt.Errorf("the token is invalid or has expired: %w", err)
		}
		return err
	}); err != nil {
		return err
	}
	if config.controlPlane {
		if err := prepareControlPlane(config, api); err != nil {
			return err
		}
	} else {
		phase("join", "kubelet-start", "Writing kubelet configuration to file \""+kubeletConfig+"\"")
	}
	text := api.caPEM
	os.MkdirAll(pkiDir, 0o755)
	if err := os.WriteFile(filepath.Join(pkiDir, "ca.crt"), text, 0o644); err != nil {
		return err
	}
	conf := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: https://%s\nusers:\n- name: tls-bootstrap-token-user\n  user:\n    token: %s\n", base64.StdEncoding.EncodeToString(text), config.apiServer, config.token)
	if err := os.WriteFile(bootstrapConf, []byte(conf), 0o600); err != nil {
		return err
	}
	if config.controlPlane {
		phase("join", "kubelet-start", "Writing kubelet configuration to file \""+kubeletConfig+"\"")
	}
	if err := startKubelet(config.name); err != nil {
		return err
	}
	if config.controlPlane {
		if err := joinEtcd(config); err != nil {
			return err
		}
	}
	phase("join", "kubelet-wait-bootstrap", "Waiting for the kubelet to perform the TLS Bootstrap")
	if err := retry("kubelet-wait-bootstrap: no kubelet.conf", config.limit, func() error {
		_, err := os.Stat(kubeletConf)
		return err
	}); err != nil {
		return err
	}
	os.Remove(bootstrapConf)
	if !config.controlPlane {
		return nil
	}
	phase("join", "mark-control-plane", "Marking the node "+config.name+" as control-plane")
	admin, err := newAPI(adminConf)
	if err != nil {
		return err
	}
	if err := markControlPlane(admin, config); err != nil {
		return err
	}
	phase("join", "wait-control-plane", "Waiting for the control plane")
	local, err := localAPI(config.address)
	if err != nil {
		return err
	}
	return retry("wait-control-plane", config.limit, func() error { return ready(local) })
}

func prepareControlPlane(config *settings, api *apiClient) error {
	phase("join", "download-certs", "Downloading the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace")
	_, path := secretsPath("kubeadm-certs")
	secret, err := api.do("GET", path, nil)
	if err != nil {
		return fmt.Errorf("download-certs: %w", err)
	}
	data, _ := secret["data"].(object)
	sum := sha256.Sum256([]byte(config.certificateKey))
	if data["key"] != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("download-certs: error decrypting: cipher: message authentication failed")
	}
	for _, name := range sharedCerts {
		value, _ := data[strings.ReplaceAll(name, "/", "-")].(string)
		text, _ := base64.StdEncoding.DecodeString(value)
		file := filepath.Join(pkiDir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
	}
	phase("join", "certs", "Using certificateDir folder \""+pkiDir+"\"")
	host, _, _ := strings.Cut(config.apiServer, ":")
	if err := makeCerts(config.name, config.address, host); err != nil {
		return err
	}
	phase("join", "kubeconfig", "Generating kubeconfig files")
	if err := controlPlaneConfs(config.name, config.apiServer, false); err != nil {
		return err
	}
	phase("join", "control-plane", "Using manifest folder \""+manifestDir+"\"")
	if err := writeManifests(config.address); err != nil {
		return err
	}
	phase("join", "check-etcd", "Checking that the etcd cluster is healthy")
	_, err = clusterEtcd(adminConf)
	return err
}

// etcd of the cluster, at whichever member answers, found as kubeadm does: by the annotations of etcd's pods.
func clusterEtcd(conf string) (*etcdClient, error) {
	api, err := newAPI(conf)
	if err != nil {
		return nil, err
	}
	pods, err := api.do("GET", "/api/v1/namespaces/kube-system/pods?labelSelector=component%3Detcd", nil)
	if err != nil {
		return nil, err
	}
	items, _ := pods["items"].([]any)
	err = errors.New("no etcd pods found")
	for _, item := range items {
		meta, _ := item.(object)["metadata"].(object)
		annotations, _ := meta["annotations"].(object)
		url, _ := annotations["kubeadm.kubernetes.io/etcd.advertise-client-urls"].(string)
		var etcd *etcdClient
		if etcd, err = newEtcd(url, "etcd/healthcheck-client"); err != nil {
			continue
		}
		etcd.client.Timeout = 5 * time.Second
		if _, err = etcd.members(); err == nil {
			return etcd, nil
		}
	}
	return nil, err
}

func joinEtcd(config *settings) error {
	etcd, err := clusterEtcd(adminConf)
	if err != nil {
		return err
	}
	peer := "https://" + config.address + ":2380"
	find := func() (*member, []member, error) {
		all, err := etcd.members()
		for i := range all {
			if len(all[i].PeerURLs) > 0 && all[i].PeerURLs[0] == peer {
				return &all[i], all, err
			}
		}
		return nil, all, err
	}
	phase("join", "etcd/add", "Announcing new etcd member joining to the existing etcd cluster")
	var all []member
	var mine *member
	if err := retry("etcd: error adding the member", config.limit, func() error {
		var err error
		if mine, all, err = find(); err != nil || mine != nil {
			return err
		}
		if err := etcd.call("cluster/member/add", object{"peerURLs": []string{peer}, "isLearner": true}, nil); err != nil {
			return err
		}
		mine, all, err = find()
		return err
	}); err != nil {
		return err
	}
	phase("join", "etcd/manifest", "Creating static Pod manifest for \"etcd\"")
	if err := writeEtcd(config.name, config.address, all); err != nil {
		return err
	}
	phase("join", "etcd/wait", "Waiting for the new etcd member to join the cluster. This can take up to 40s")
	if err := retry("etcd: the new member does not start", config.limit, func() error {
		local, err := newEtcd("https://"+config.address+":2379", "etcd/healthcheck-client")
		if err != nil {
			return err
		}
		return local.call("maintenance/status", object{}, nil)
	}); err != nil {
		return err
	}
	phase("join", "etcd/promote", "The new etcd member is a learner; promoting it")
	if !mine.IsLearner {
		return nil
	}
	return retry("etcd: error promoting the member", config.limit, func() error {
		now, _, err := find()
		if err != nil {
			return err
		}
		if now == nil {
			return errors.New("the member is gone")
		}
		if !now.IsLearner {
			return nil
		}
		return etcd.call("cluster/member/promote", object{"ID": now.ID}, nil)
	})
}

func reset(flags map[string]string) error {
	phase("reset", "preflight", "Running pre-flight checks")
	skipped := strings.Contains(flags["skip-phases"], "remove-etcd-member")
	if !skipped {
		phase("reset", "remove-etcd-member", "Removing the etcd member")
		if exists(filepath.Join(manifestDir, "etcd.yaml")) {
			if err := removeOwnMember(); err != nil {
				// As the real one: a warning, and exit code 0.
				fmt.Fprintln(os.Stderr, "W1128 removeetcdmember.go: [reset] Failed to remove etcd member:", err)
			}
			removeContents(etcdData)
		}
	}
	phase("reset", "cleanup-node", "Stopping the kubelet service")
	exec.Command("systemctl", "stop", "kubelet").Run()
	entries, _ := os.ReadDir(podDir)
	for _, entry := range entries {
		stopPod(entry.Name())
	}
	removeContents("/var/lib/kubelet")
	for _, dir := range []string{manifestDir, pkiDir} {
		removeContents(dir)
	}
	for _, name := range []string{"admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler"} {
		os.Remove(filepath.Join(etcKubernetes, name+".conf"))
	}
	return nil
}

func removeOwnMember() error {
	manifest, err := os.ReadFile(filepath.Join(manifestDir, "etcd.yaml"))
	if err != nil {
		return err
	}
	match := regexp.MustCompile(`--initial-advertise-peer-urls=(\S+)`).FindSubmatch(manifest)
	if match == nil {
		return errors.New("no peer URL in etcd.yaml")
	}
	etcd, err := clusterEtcd(adminConf)
	if err != nil {
		return err
	}
	all, err := etcd.members()
	if err != nil {
		return err
	}
	if len(all) == 1 {
		return nil
	}
	for _, one := range all {
		if len(one.PeerURLs) > 0 && one.PeerURLs[0] == string(match[1]) {
			return etcd.call("cluster/member/remove", object{"ID": one.ID}, nil)
		}
	}
	return nil
}

func removeContents(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		os.RemoveAll(filepath.Join(dir, entry.Name()))
	}
}
