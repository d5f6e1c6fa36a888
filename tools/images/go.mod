module kvmesh.local/images

go 1.24
