package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// One file a static pod that runs: "pid hash". Containers outlive the kubelet, and a new one finds them here.
const podDir = "/run/simulated/pods"

// One file an image; a test takes one away.
const imageDir = "/var/lib/simulated/images"

var signalled = make(chan os.Signal, 1)

func kubelet([]string) error {
	signal.Notify(signalled, syscall.SIGTERM, syscall.SIGINT)
	os.MkdirAll(podDir, 0o755)
	restarts := map[string]time.Time{}
	var reported time.Time
	for {
		select {
		case <-signalled:
			return nil
		default:
		}
		if exists(kubeletConfig) {
			if !exists(kubeletConf) && exists(bootstrapConf) {
				if err := bootstrap(); err != nil {
					fmt.Fprintln(os.Stderr, "kubelet: no certificate yet:", err)
				}
			}
			pods := runStaticPods(restarts)
			if time.Since(reported) > time.Second && exists(kubeletConf) {
				reported = time.Now()
				if err := report(pods); err != nil {
					fmt.Fprintln(os.Stderr, "kubelet:", err)
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func nodeName() string {
	text, _ := os.ReadFile("/var/lib/kubelet/kubeadm-flags.env")
	if match := regexp.MustCompile(`--hostname-override=([^\s"]+)`).FindSubmatch(text); match != nil {
		return string(match[1])
	}
	name, _ := os.Hostname()
	return name
}

// The TLS bootstrap: a certificate of its own for a token that dies.
func bootstrap() error {
	text, err := os.ReadFile(bootstrapConf)
	if err != nil {
		return err
	}
	api, err := apiOf(text)
	if err != nil {
		return err
	}
	answer, err := api.do("POST", "/simulated/certificates/"+nodeName(), object{})
	if err != nil {
		return err
	}
	ca, _ := os.ReadFile(filepath.Join(pkiDir, "ca.crt"))
	conf := kubeconfig(api.server, "system:node:"+nodeName(), ca, []byte(answer["cert"].(string)), []byte(answer["key"].(string)))
	return os.WriteFile(kubeletConf, conf, 0o600)
}

var argument = regexp.MustCompile(`(?m)^    - (.+)$`)

// Starts what has a manifest and ends what has none any more. Returns the manifests' names.
func runStaticPods(restarts map[string]time.Time) []string {
	var wanted []string
	files, _ := filepath.Glob(manifestDir + "/*.yaml")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		wanted = append(wanted, name)
		sum := sha256.Sum256(text)
		hash := hex.EncodeToString(sum[:8])
		pid, ran := podOf(name)
		if pid > 0 && ran == hash {
			continue
		}
		if pid > 0 {
			stopPod(name)
		}
		if time.Since(restarts[name]) < 500*time.Millisecond || (name != "etcd" && name != "kube-apiserver") {
			continue
		}
		restarts[name] = time.Now()
		if !exists(filepath.Join(imageDir, name)) {
			fmt.Fprintf(os.Stderr, "kubelet: pod %s: ErrImageNeverPull\n", name)
			continue
		}
		var command []string
		for _, match := range argument.FindAllSubmatch(text, -1) {
			command = append(command, string(match[1]))
		}
		if name == "kube-apiserver" {
			command = []string{"/usr/local/bin/simulated-node", "apiserver"}
		}
		startPod(name, hash, command)
	}
	running, _ := os.ReadDir(podDir)
	for _, entry := range running {
		if !exists(filepath.Join(manifestDir, entry.Name()+".yaml")) {
			stopPod(entry.Name())
		}
	}
	return wanted
}

func startPod(name, hash string, command []string) {
	log, err := os.OpenFile("/var/log/"+name+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer log.Close()
	child := exec.Command(command[0], command[1:]...)
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "kubelet: pod %s: %v\n", name, err)
		return
	}
	os.WriteFile(filepath.Join(podDir, name), []byte(fmt.Sprintf("%d %s", child.Process.Pid, hash)), 0o644)
	go child.Wait()
}

// Pid (0: it does not run) and hash of a static pod.
func podOf(name string) (int, string) {
	text, err := os.ReadFile(filepath.Join(podDir, name))
	if err != nil {
		return 0, ""
	}
	id, hash, _ := strings.Cut(string(text), " ")
	pid, _ := strconv.Atoi(id)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || strings.Contains(string(stat), ") Z ") {
		return 0, hash
	}
	return pid, hash
}

func stopPod(name string) {
	if pid, _ := podOf(name); pid > 0 {
		syscall.Kill(pid, syscall.SIGTERM)
		for tries := 0; tries < 30; tries++ {
			if pid, _ := podOf(name); pid == 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}
	os.Remove(filepath.Join(podDir, name))
}

// Registers the node, says that it is Ready, and mirrors its static pods.
func report(pods []string) error {
	api, err := newAPI(kubeletConf)
	if err != nil {
		return err
	}
	name := nodeName()
	address, _ := os.ReadFile("/run/site/address")
	node := object{
		"metadata": object{"name": name, "labels": object{"kubernetes.io/hostname": name}},
		"status": object{
			"addresses":  []object{{"type": "InternalIP", "address": strings.TrimSpace(string(address))}},
			"conditions": []object{{"type": "Ready", "status": "True", "message": "kubelet is posting ready status", "lastHeartbeatTime": time.Now().UTC().Format(time.RFC3339)}},
			"nodeInfo":   object{"kubeletVersion": kubernetesVersion},
		},
	}
	if _, err := api.do("PATCH", "/api/v1/nodes/"+name, node); hasCode(err, 404) {
		_, err = api.do("POST", "/api/v1/nodes", node)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	for _, pod := range pods {
		mirror := object{
			"metadata": object{
				"name":        pod + "-" + name,
				"labels":      object{"component": pod, "tier": "control-plane"},
				"annotations": object{"kubernetes.io/config.mirror": "simulated"},
			},
			"spec":   object{"nodeName": name},
			"status": object{"phase": "Running"},
		}
		if pod == "etcd" {
			url := "https://" + strings.TrimSpace(string(address)) + ":2379"
			mirror["metadata"].(object)["annotations"].(object)["kubeadm.kubernetes.io/etcd.advertise-client-urls"] = url
		}
		if err := api.apply("/api/v1/namespaces/kube-system/pods", pod+"-"+name, mirror); err != nil {
			return err
		}
	}
	return nil
}
