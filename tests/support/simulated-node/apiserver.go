package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type resource struct {
	group, version, name, kind string
	namespaced                 bool
}

var resources = []resource{
	{"", "v1", "nodes", "Node", false},
	{"", "v1", "namespaces", "Namespace", false},
	{"", "v1", "pods", "Pod", true},
	{"", "v1", "configmaps", "ConfigMap", true},
	{"", "v1", "secrets", "Secret", true},
	{"", "v1", "events", "Event", true},
	{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true},
	{"coordination.k8s.io", "v1", "leases", "Lease", true},
	{"apps", "v1", "daemonsets", "DaemonSet", true},
	{"apps", "v1", "deployments", "Deployment", true},
}

func (r resource) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

type server struct {
	etcd *etcdClient
	ca   *x509.CertPool
}

func apiserver() error {
	etcd, err := newEtcd("https://127.0.0.1:2379", "apiserver-etcd-client")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(pkiDir, "ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	listener := &http.Server{
		Addr:              ":6443",
		Handler:           &server{etcd, pool},
		TLSConfig:         &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool},
		ReadHeaderTimeout: 5 * time.Second,
	}
	return listener.ListenAndServeTLS(filepath.Join(pkiDir, "apiserver.crt"), filepath.Join(pkiDir, "apiserver.key"))
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch path {
	case "/livez":
		io.WriteString(w, "ok")
		return
	case "/readyz", "/healthz":
		// A linearizable read: ready is who has a quorum.
		if _, err := s.etcd.get("/registry/health", false); err != nil {
			fail(w, 500, "InternalError", "[-]etcd failed: "+err.Error())
			return
		}
		io.WriteString(w, "ok")
		return
	case "/version":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\n  \"major\": \"1\",\n  \"minor\": \"34\",\n  \"gitVersion\": \"%s\"\n}", kubernetesVersion)
		return
	case "/api/v1/namespaces/kube-public/configmaps/cluster-info":
	default:
		if !s.allowed(r) {
			fail(w, 401, "Unauthorized", "Unauthorized")
			return
		}
	}
	if s.discovery(w, path) {
		return
	}
	if name, ok := strings.CutPrefix(path, "/simulated/certificates/"); ok {
		s.certificate(w, name)
		return
	}
	kind, namespace, name, sub, ok := route(path)
	if !ok {
		fail(w, 404, "NotFound", "the server could not find the requested resource")
		return
	}
	s.serve(w, r, kind, namespace, name, sub)
}

// A client certificate of the cluster, or a bootstrap token that has not expired.
func (s *server) allowed(r *http.Request) bool {
	if len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	id, secret, ok := strings.Cut(token, ".")
	if !ok {
		return false
	}
	found, err := s.etcd.get("/registry/secrets/kube-system/bootstrap-token-"+id, false)
	if err != nil || len(found) == 0 {
		return false
	}
	data, _ := found[0].object()["data"].(object)
	text := func(name string) string {
		value, _ := data[name].(string)
		out, _ := base64.StdEncoding.DecodeString(value)
		return string(out)
	}
	expires, err := time.Parse(time.RFC3339, text("expiration"))
	return text("token-secret") == secret && (err != nil || time.Now().Before(expires))
}

// What the signer of kubelets' certificates does.
func (s *server) certificate(w http.ResponseWriter, node string) {
	ca, err := readPair(filepath.Join(pkiDir, "ca"))
	if err != nil {
		fail(w, 500, "InternalError", err.Error())
		return
	}
	client, err := issue("", "system:node:"+node, []string{"system:nodes"}, nil, ca)
	if err != nil {
		fail(w, 500, "InternalError", err.Error())
		return
	}
	write(w, 200, object{"cert": string(certPEM(client.cert)), "key": string(keyPEM(client.key))})
}

func (s *server) discovery(w http.ResponseWriter, path string) bool {
	switch path {
	case "/api":
		write(w, 200, object{"kind": "APIVersions", "versions": []string{"v1"}})
		return true
	case "/apis":
		groups, seen := []object{}, map[string]bool{}
		for _, r := range resources {
			if r.group == "" || seen[r.group] {
				continue
			}
			seen[r.group] = true
			version := object{"groupVersion": r.apiVersion(), "version": r.version}
			groups = append(groups, object{"name": r.group, "versions": []object{version}, "preferredVersion": version})
		}
		write(w, 200, object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
		return true
	}
	if path == "/openapi/v3" {
		paths := object{}
		for _, r := range resources {
			gv := strings.TrimPrefix(base(r), "/")
			paths[gv] = object{"serverRelativeURL": "/openapi/v3/" + gv}
		}
		write(w, 200, object{"paths": paths})
		return true
	}
	if gv, ok := strings.CutPrefix(path, "/openapi/v3/"); ok {
		write(w, 200, object{"openapi": "3.0.0", "info": object{"title": "simulated", "version": kubernetesVersion}, "paths": parameters("/" + gv)})
		return true
	}
	list := []object{}
	for _, r := range resources {
		if path != "/api/"+r.apiVersion() && path != "/apis/"+r.apiVersion() {
			continue
		}
		verbs := []string{"create", "delete", "get", "list", "patch", "update", "watch"}
		singular := strings.ToLower(r.kind)
		short := map[string][]string{"poddisruptionbudgets": {"pdb"}, "nodes": {"no"}, "pods": {"po"}, "configmaps": {"cm"}}[r.name]
		list = append(list, object{"name": r.name, "singularName": singular, "namespaced": r.namespaced, "kind": r.kind, "verbs": verbs, "shortNames": short})
		if r.name == "pods" {
			list = append(list, object{"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1", "kind": "Eviction", "verbs": []string{"create"}})
		}
	}
	if len(list) == 0 {
		return false
	}
	version := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
	write(w, 200, object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
	return true
}

func base(r resource) string {
	if r.group == "" {
		return "/api/" + r.version
	}
	return "/apis/" + r.group + "/" + r.version
}

// What kubectl looks for before it creates something: that the server itself validates fields.
func parameters(groupVersion string) object {
	paths := object{}
	for _, r := range resources {
		if base(r) != groupVersion {
			continue
		}
		gvk := object{"group": r.group, "version": r.version, "kind": r.kind}
		one := []object{{"name": "fieldValidation", "in": "query"}}
		where := groupVersion + "/" + r.name + "/{name}"
		if r.namespaced {
			where = groupVersion + "/namespaces/{namespace}/" + r.name + "/{name}"
		}
		operation := object{"parameters": one, "responses": object{}, "x-kubernetes-group-version-kind": gvk}
		paths[where] = object{"patch": operation}
	}
	return paths
}

func route(path string) (kind resource, namespace, name, sub string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	group, version := "", ""
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return
	}
	if parts[0] == "namespaces" && len(parts) >= 3 {
		namespace, parts = parts[1], parts[2:]
	}
	for _, r := range resources {
		if r.group == group && r.version == version && r.name == parts[0] {
			kind, ok = r, true
		}
	}
	if len(parts) > 1 {
		name = parts[1]
	}
	if len(parts) > 2 {
		sub = parts[2]
	}
	return
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, kind resource, namespace, name, sub string) {
	prefix := "/registry/" + kind.name + "/"
	if kind.namespaced && namespace != "" {
		prefix += namespace + "/"
	}
	broken := func(err error) { fail(w, 500, "InternalError", err.Error()) }
	if name == "" && r.Method == "GET" {
		found, err := s.etcd.get(prefix, true)
		if err != nil {
			broken(err)
			return
		}
		items := []object{}
		for _, one := range found {
			if item := aged(one.object()); selected(item, r) {
				items = append(items, item)
			}
		}
		write(w, 200, object{"kind": kind.kind + "List", "apiVersion": kind.apiVersion(), "metadata": object{"resourceVersion": "1"}, "items": items})
		return
	}
	var body object
	if text, _ := io.ReadAll(r.Body); len(text) > 0 && r.Method != "DELETE" {
		if err := json.Unmarshal(text, &body); err != nil {
			fail(w, 400, "BadRequest", err.Error())
			return
		}
	}
	if r.Method == "POST" && sub == "eviction" {
		s.evict(w, namespace, name)
		return
	}
	if r.Method == "POST" {
		meta, _ := body["metadata"].(object)
		name, _ := meta["name"].(string)
		if name == "" {
			fail(w, 422, "Invalid", "metadata.name: Required value")
			return
		}
		uid := make([]byte, 16)
		rand.Read(uid)
		text := hex.EncodeToString(uid)
		meta["uid"] = text[:8] + "-" + text[8:12] + "-4" + text[13:16] + "-8" + text[17:20] + "-" + text[20:]
		meta["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		if kind.namespaced {
			meta["namespace"] = namespace
		}
		body["kind"], body["apiVersion"] = kind.kind, kind.apiVersion()
		if text, ok := body["stringData"].(object); ok {
			data, _ := body["data"].(object)
			if data == nil {
				data = object{}
			}
			for key, value := range text {
				data[key] = base64.StdEncoding.EncodeToString([]byte(value.(string)))
			}
			body["data"] = data
			delete(body, "stringData")
		}
		done, err := s.etcd.put(prefix+name, body, "0")
		if err != nil {
			broken(err)
		} else if !done {
			fail(w, 409, "AlreadyExists", fmt.Sprintf("%s %q already exists", kind.name, name))
		} else {
			s.answer(w, 201, prefix+name)
		}
		return
	}
	for tries := 0; ; tries++ {
		found, err := s.etcd.get(prefix+name, false)
		if err != nil {
			broken(err)
			return
		}
		if len(found) == 0 {
			fail(w, 404, "NotFound", fmt.Sprintf("%s %q not found", kind.name, name))
			return
		}
		old := found[0].object()
		var next object
		switch r.Method {
		case "GET":
			write(w, 200, aged(old))
			return
		case "DELETE":
			if err := s.etcd.delete(prefix + name); err != nil {
				broken(err)
				return
			}
			write(w, 200, object{"kind": "Status", "apiVersion": "v1", "status": "Success", "details": object{"name": name, "kind": kind.name}})
			return
		case "PUT":
			meta, _ := body["metadata"].(object)
			if version, _ := meta["resourceVersion"].(string); version != "" && version != found[0].Mod {
				fail(w, 409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
				return
			}
			next = body
		case "PATCH":
			meta, _ := body["metadata"].(object)
			if version, _ := meta["resourceVersion"].(string); version != "" && version != found[0].Mod {
				fail(w, 409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")
				return
			}
			next = merge(old, body)
		default:
			fail(w, 405, "MethodNotAllowed", r.Method)
			return
		}
		done, err := s.etcd.put(prefix+name, next, found[0].Mod)
		if err != nil {
			broken(err)
			return
		}
		if done {
			s.answer(w, 200, prefix+name)
			return
		}
		if r.Method == "PUT" || tries > 5 {
			fail(w, 409, "Conflict", "the object has been modified")
			return
		}
	}
}

// The node controller's work: who does not report for a while is not known to be Ready. Sooner than the real one's 50 s.
func aged(item object) object {
	status, _ := item["status"].(object)
	conditions, _ := status["conditions"].([]any)
	for _, one := range conditions {
		condition, _ := one.(object)
		last, _ := condition["lastHeartbeatTime"].(string)
		if at, err := time.Parse(time.RFC3339, last); err == nil && time.Since(at) > 10*time.Second {
			condition["status"], condition["message"] = "Unknown", "Kubelet stopped posting node status."
		}
	}
	return item
}

// A pod that a disruption budget of its namespace keeps stays; any other goes.
func (s *server) evict(w http.ResponseWriter, namespace, name string) {
	budgets, err := s.etcd.get("/registry/poddisruptionbudgets/"+namespace+"/", true)
	if err != nil {
		fail(w, 500, "InternalError", err.Error())
		return
	}
	for _, one := range budgets {
		status, _ := one.object()["status"].(object)
		if allowed, _ := status["disruptionsAllowed"].(float64); allowed == 0 {
			fail(w, 429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
			return
		}
	}
	if err := s.etcd.delete("/registry/pods/" + namespace + "/" + name); err != nil {
		fail(w, 500, "InternalError", err.Error())
		return
	}
	write(w, 201, object{"kind": "Status", "apiVersion": "v1", "status": "Success"})
}

func (s *server) answer(w http.ResponseWriter, code int, key string) {
	found, err := s.etcd.get(key, false)
	if err != nil || len(found) == 0 {
		fail(w, 500, "InternalError", "written, but can't be read again")
		return
	}
	write(w, code, found[0].object())
}

func selected(item object, r *http.Request) bool {
	meta, _ := item["metadata"].(object)
	labels, _ := meta["labels"].(object)
	for _, term := range strings.Split(r.URL.Query().Get("labelSelector"), ",") {
		key, want, ok := strings.Cut(strings.ReplaceAll(term, "==", "="), "=")
		if !ok {
			continue
		}
		if got, _ := labels[key].(string); got != want {
			return false
		}
	}
	for _, term := range strings.Split(r.URL.Query().Get("fieldSelector"), ",") {
		key, want, ok := strings.Cut(term, "=")
		if !ok {
			continue
		}
		var value any = item
		for _, part := range strings.Split(key, ".") {
			at, _ := value.(object)
			value = at[part]
		}
		if got, _ := value.(string); got != want {
			return false
		}
	}
	return true
}

// RFC 7386.
func merge(target, patch object) object {
	if target == nil {
		target = object{}
	}
	for key, value := range patch {
		switch typed := value.(type) {
		case nil:
			delete(target, key)
		case object:
			at, _ := target[key].(object)
			target[key] = merge(at, typed)
		default:
			target[key] = value
		}
	}
	return target
}

func write(w http.ResponseWriter, code int, value object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value)
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	write(w, code, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}
