// The provider's component resources (ConfigFile, ConfigGroup, Chart) register the objects that they make with the
// generated Go SDK: one switch over 157 kinds, each of which does the same with a type of its own that nobody reads.
// Those types are a quarter of the provider's source and most of the time that its build takes. This file takes the
// place of that switch; the toolchain copies what else the provider uses of the SDK next to it (tools/toolchain/prepare.ts).

package v2

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource registers an object by its type token, as each case of the generated switch does.
func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input,
	opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	group := apiVersion
	if !strings.Contains(group, "/") {
		group = "core/" + group
	}
	var res pulumi.CustomResourceState
	if err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", group, kind), name, props, &res, opts...); err != nil {
		return nil, err
	}
	return &res, nil
}
