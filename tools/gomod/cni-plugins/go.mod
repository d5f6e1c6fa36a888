module kvmesh.local/toolchain/cni-plugins

go 1.26

require github.com/containernetworking/plugins v0.9.1
