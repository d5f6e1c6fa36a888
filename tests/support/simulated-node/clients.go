package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

type object = map[string]any

// etcd's gRPC gateway, with one of the certificates that kubeadm makes.
type etcdClient struct {
	url    string
	client *http.Client
}

func newEtcd(url, certName string) (*etcdClient, error) {
	base := filepath.Join(pkiDir, certName)
	cert, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(pkiDir, "etcd/ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool},
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 20,
	}
	return &etcdClient{url, &http.Client{Transport: transport, Timeout: 8 * time.Second}}, nil
}

func (e *etcdClient) call(path string, request, answer any) error {
	body, _ := json.Marshal(request)
	response, err := e.client.Post(e.url+"/v3/"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != 200 {
		return fmt.Errorf("etcd %s: %s", path, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

type member struct {
	ID         string   `json:"ID"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

func (e *etcdClient) members() ([]member, error) {
	var answer struct {
		Members []member `json:"members"`
	}
	return answer.Members, e.call("cluster/member/list", object{}, &answer)
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

type stored struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Mod   string `json:"mod_revision"`
}

func (kv stored) object() object {
	text, _ := base64.StdEncoding.DecodeString(kv.Value)
	var value object
	json.Unmarshal(text, &value)
	if meta, ok := value["metadata"].(object); ok {
		meta["resourceVersion"] = kv.Mod
	}
	return value
}

func (e *etcdClient) get(key string, prefix bool) ([]stored, error) {
	request := object{"key": b64(key)}
	if prefix {
		end := []byte(key)
		end[len(end)-1]++
		request["range_end"] = base64.StdEncoding.EncodeToString(end)
	}
	var answer struct {
		Kvs []stored `json:"kvs"`
	}
	return answer.Kvs, e.call("kv/range", request, &answer)
}

// Writes when the key's last change is `mod` ("0": there is none; "": whatever). False: it was another.
func (e *etcdClient) put(key string, value object, mod string) (bool, error) {
	text, _ := json.Marshal(value)
	put := object{"request_put": object{"key": b64(key), "value": base64.StdEncoding.EncodeToString(text)}}
	txn := object{"success": []object{put}}
	if mod != "" {
		txn["compare"] = []object{{"key": b64(key), "target": "MOD", "result": "EQUAL", "mod_revision": mod}}
	}
	var answer struct {
		Succeeded bool `json:"succeeded"`
	}
	err := e.call("kv/txn", txn, &answer)
	return answer.Succeeded, err
}

func (e *etcdClient) delete(key string) error {
	return e.call("kv/deleterange", object{"key": b64(key)}, nil)
}

// The API as a client of a kubeconfig file.
type apiClient struct {
	server string
	token  string
	caPEM  []byte
	client *http.Client
}

func newAPI(file string) (*apiClient, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return apiOf(text)
}

func apiOf(text []byte) (*apiClient, error) {
	decode := func(field string) []byte {
		out, _ := base64.StdEncoding.DecodeString(fieldOf(text, field))
		return out
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if ca := decode("ca"); len(ca) > 0 {
		config.RootCAs.AppendCertsFromPEM(ca)
	} else {
		config.InsecureSkipVerify = true
	}
	if cert := decode("cert"); len(cert) > 0 {
		pair, err := tls.X509KeyPair(cert, decode("key"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	// A new connection each time: the endpoint may be another API server by now.
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return &apiClient{fieldOf(text, "server"), fieldOf(text, "token"), decode("ca"), &http.Client{Transport: transport, Timeout: 6 * time.Second}}, nil
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.text) }

func hasCode(err error, code int) bool {
	status, ok := err.(*statusError)
	return ok && status.code == code
}

func (a *apiClient) do(method, path string, body object) (object, error) {
	var reader io.Reader
	if body != nil {
		text, _ := json.Marshal(body)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "https://"+a.server+path, reader)
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	if method == "PATCH" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode >= 300 {
		return nil, &statusError{response.StatusCode, string(bytes.TrimSpace(text))}
	}
	var answer object
	json.Unmarshal(text, &answer)
	return answer, nil
}

// Creates or replaces.
func (a *apiClient) apply(collection, name string, value object) error {
	_, err := a.do("POST", collection, value)
	if hasCode(err, 409) {
		_, err = a.do("PATCH", collection+"/"+name, value)
	}
	return err
}

// Until it is done or the time is over.
func retry(what string, limit time.Duration, step func() error) error {
	end := time.Now().Add(limit)
	for {
		err := step()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %w", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
