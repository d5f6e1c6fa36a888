// Command pulumi-resource-kubernetes is the upstream Kubernetes provider for Pulumi.
//
// Upstream's own main package embeds two files that its repository generates and that the Go module therefore lacks.
// They are the module's schema.json (with the provider's version set in it) and terraform-mapping.json; kvmesh's
// toolchain copies them next to this file before it builds (tools/toolchain/prepare.ts).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// The engine compares it with the version that the npm package asks for.
//
//go:embed version-embed.txt
var version string

//go:embed schema-embed.json
var schema []byte

//go:embed terraform-mapping-embed.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}
