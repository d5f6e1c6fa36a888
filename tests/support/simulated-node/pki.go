package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func readPair(base string) (*pair, error) {
	certPEM, err := os.ReadFile(base + ".crt")
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(base + ".key")
	if err != nil {
		return nil, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("%s: no certificate and key", base)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	return &pair{cert, key}, err
}

// Signs with ca; itself a CA when that is nil.
func issue(base, name string, groups []string, hosts []string, ca *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	parent, signer := template, crypto.Signer(key)
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.NotAfter = time.Now().AddDate(10, 0, 0)
	} else {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, _ := x509.ParseCertificate(der)
	made := &pair{cert, key}
	if base != "" {
		os.MkdirAll(filepath.Dir(base), 0o755)
		if err := os.WriteFile(base+".crt", certPEM(cert), 0o644); err != nil {
			return nil, err
		}
		if err := os.WriteFile(base+".key", keyPEM(key), 0o600); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func certPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func keyPEM(key crypto.Signer) []byte {
	der, _ := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// As kubeadm: what is there is used, what is missing is made.
func ensurePair(base, name string, groups, hosts []string, ca *pair) (*pair, error) {
	if found, err := readPair(base); err == nil {
		fmt.Printf("[certs] Using existing %s certificate\n", filepath.Base(base))
		return found, nil
	}
	return issue(base, name, groups, hosts, ca)
}

var sharedCerts = []string{"ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"}

func makeCerts(node, address, endpointHost string) error {
	cas := map[string]*pair{}
	for base, name := range map[string]string{"ca": "kubernetes", "etcd/ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"} {
		ca, err := ensurePair(filepath.Join(pkiDir, base), name, nil, nil, nil)
		if err != nil {
			return err
		}
		cas[base] = ca
	}
	if !exists(filepath.Join(pkiDir, "sa.key")) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, _ := x509.MarshalPKIXPublicKey(key.Public())
		os.WriteFile(filepath.Join(pkiDir, "sa.key"), keyPEM(key), 0o600)
		os.WriteFile(filepath.Join(pkiDir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
	}
	local := []string{"localhost", "127.0.0.1", node, address}
	for _, one := range []struct {
		base, name string
		groups     []string
		hosts      []string
		ca         string
	}{
		{"apiserver", "kube-apiserver", nil, append(local, endpointHost, "kubernetes", "10.96.0.1"), "ca"},
		{"apiserver-kubelet-client", "kube-apiserver-kubelet-client", []string{"kubeadm:cluster-admins"}, nil, "ca"},
		{"front-proxy-client", "front-proxy-client", nil, nil, "front-proxy-ca"},
		{"etcd/server", node, nil, local, "etcd/ca"},
		{"etcd/peer", node, nil, local, "etcd/ca"},
		{"etcd/healthcheck-client", "kube-etcd-healthcheck-client", nil, nil, "etcd/ca"},
		{"apiserver-etcd-client", "kube-apiserver-etcd-client", nil, nil, "etcd/ca"},
	} {
		if _, err := ensurePair(filepath.Join(pkiDir, one.base), one.name, one.groups, one.hosts, cas[one.ca]); err != nil {
			return err
		}
	}
	return nil
}

func caHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func kubeconfig(server, user string, caPEM, cert, key []byte) []byte {
	b := base64.StdEncoding.EncodeToString
	return []byte(fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://%s
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: %s
  name: %s@kubernetes
current-context: %s@kubernetes
kind: Config
users:
- name: %s
  user:
    client-certificate-data: %s
    client-key-data: %s
`, b(caPEM), server, user, user, user, user, b(cert), b(key)))
}

// Written when it is missing or of another CA, as kubeadm does.
func writeKubeconfig(file, server, user string, groups []string) error {
	if exists(file) {
		return nil
	}
	ca, err := readPair(filepath.Join(pkiDir, "ca"))
	if err != nil {
		return err
	}
	client, err := issue("", user, groups, nil, ca)
	if err != nil {
		return err
	}
	return os.WriteFile(file, kubeconfig(server, user, certPEM(ca.cert), certPEM(client.cert), keyPEM(client.key)), 0o600)
}

var kubeconfigField = map[string]*regexp.Regexp{
	"server": regexp.MustCompile(`(?m)^    server: https://(\S+)$`),
	"ca":     regexp.MustCompile(`(?m)^    certificate-authority-data: (\S+)$`),
	"cert":   regexp.MustCompile(`(?m)^    client-certificate-data: (\S+)$`),
	"key":    regexp.MustCompile(`(?m)^    client-key-data: (\S+)$`),
	"token":  regexp.MustCompile(`(?m)^    token: (\S+)$`),
}

func fieldOf(text []byte, field string) string {
	match := kubeconfigField[field].FindSubmatch(text)
	if match == nil {
		return ""
	}
	return string(match[1])
}
