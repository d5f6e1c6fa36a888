module kvmesh.local/simulated-node

go 1.26
