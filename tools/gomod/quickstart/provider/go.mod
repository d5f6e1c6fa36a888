module github.com/pulumi/pulumi-kubernetes/provider/v4

go 1.24
