package main

// The newest language host that the Go module proxy has is older than the CLI: it refuses to run plugins, which is how
// the CLI starts policy packs. This file takes the place of its refusal; tools/toolchain/recipes.ts puts it
// next to the sources of that host before it builds. An official install of Pulumi has its own and needs none of this.

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of RunPluginRequest, and of the ProgramInfo in it, that this SDK is too old to know by name.
const (
	fieldInfo             protowire.Number = 5
	fieldKind             protowire.Number = 6
	fieldProgramDirectory protowire.Number = 2
)

func (host *nodeLanguageHost) RunPlugin(
	req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	unknown := req.ProtoReflect().GetUnknown()
	program := string(bytesField(bytesField(unknown, fieldInfo), fieldProgramDirectory))
	if program == "" {
		program = req.Program
	}
	if program == "" {
		return errors.New("the engine did not say which folder the plugin is in")
	}
	module, args, dir := "@pulumi/pulumi/cmd/run-plugin", append([]string{program}, req.Args...), req.Pwd
	analyzer := false
	switch kind := string(bytesField(unknown, fieldKind)); kind {
	case "analyzer":
		// @pulumi/policy reads the pack's version from the package.json of the working directory.
		module, args, dir = "@pulumi/pulumi/cmd/run-policy-pack", append(req.Args, "."), program
		analyzer = true
	case "", "resource":
	default:
		return fmt.Errorf("this language host does not run plugins of kind %q", kind)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("node is not on PATH: %w", err)
	}
	script, err := resolve(node, module, program)
	if err != nil {
		return err
	}

	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(server, false)
	if err != nil {
		return err
	}
	defer closer.Close()
	// The engine ends a plugin by ending this call.
	command := func(env []string) *exec.Cmd {
		cmd := exec.CommandContext(server.Context(), node, append([]string{script}, args...)...)
		cmd.Dir, cmd.Env = dir, append(req.Env, env...)
		return cmd
	}
	if analyzer {
		err = runPolicyPack(server.Context(), command, stdout, stderr)
	} else {
		cmd := command(nil)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		err = cmd.Run()
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return server.Send(&pulumirpc.RunPluginResponse{
				Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())},
			})
		}
		return fmt.Errorf("running %s: %w", module, err)
	}
	return closer.Close()
}

// resolve finds a module's file the way a program in dir would.
func resolve(node, module, dir string) (string, error) {
	cmd := exec.Command(node, "-p", fmt.Sprintf("require.resolve(%q)", module))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s is not installed for %s: run `npm install` there", module, dir)
	}
	return strings.TrimSpace(string(out)), nil
}

// bytesField returns the last value of a length-delimited field, as protocol buffers want it; nil when it is absent.
func bytesField(message []byte, wanted protowire.Number) []byte {
	var found []byte
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return found
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return found
		}
		if number == wanted && kind == protowire.BytesType {
			found, _ = protowire.ConsumeBytes(message[:size])
		}
		message = message[size:]
	}
	return found
}
