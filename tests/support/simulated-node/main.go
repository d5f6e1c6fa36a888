// A node without containers: kubeadm, the kubelet and the API server, simulated around a real etcd. What they do to etcd, to files and to
// the API's objects is what the real ones do, as far as kvmesh looks at it. No contract test runs on both yet.
// Called by its name (kubeadm, kubelet) or with "apiserver" as its first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	kubernetesVersion = "v1.34.2"
	etcKubernetes     = "/etc/kubernetes"
	pkiDir            = "/etc/kubernetes/pki"
	manifestDir       = "/etc/kubernetes/manifests"
	adminConf         = "/etc/kubernetes/admin.conf"
	kubeletConf       = "/etc/kubernetes/kubelet.conf"
	bootstrapConf     = "/etc/kubernetes/bootstrap-kubelet.conf"
	kubeletConfig     = "/var/lib/kubelet/config.yaml"
	etcdData          = "/var/lib/etcd"
)

func main() {
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "kubeadm":
		err = kubeadm(os.Args[1:])
	case "kubelet":
		err = kubelet(os.Args[1:])
	default:
		if len(os.Args) > 1 && os.Args[1] == "apiserver" {
			err = apiserver()
		} else {
			err = fmt.Errorf("%s: unknown", name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error execution phase:", err)
		os.Exit(1)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
