// Command pulumi-language-nodejs puts policy packs back under the language host that kvmesh can build from Go modules.
//
// The newest Node.js language host that the Go module proxy holds (v3.68) runs programs well with today's CLI, but it
// answers RunPlugin with "not supported", and since 3.2xx the CLI starts policy packs through exactly that call. This
// program stands in front of it: it forwards every call unread to the real host, which it starts from
// `pulumi-language-nodejs-host` next to itself, and answers RunPlugin for policy packs the way today's host does: with
// Pulumi's own PolicyProxy, `@pulumi/pulumi/cmd/run-policy-pack`, and the stack's configuration in PULUMI_CONFIG.
//
// Users with an official Pulumi never have this program: their language host does all of it itself.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	sdk "github.com/pulumi/pulumi/sdk/v3"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	realHost         = "pulumi-language-nodejs-host"
	runPlugin        = "/pulumirpc.LanguageRuntime/RunPlugin"
	maxMessage       = 400 << 20 // as in Pulumi's own servers
	analyzerKind     = "analyzer"
	policyPackRunner = "@pulumi/pulumi/cmd/run-policy-pack"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-language-nodejs: %v\n", err)
		os.Exit(1)
	}
}

func serve() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host := exec.Command(filepath.Join(filepath.Dir(self), realHost), os.Args[1:]...)
	host.Stderr = os.Stderr
	stdout, err := host.StdoutPipe()
	if err != nil {
		return err
	}
	if err := host.Start(); err != nil {
		return fmt.Errorf("starting the real language host: %w", err)
	}
	reader := bufio.NewReader(stdout)
	line, err := reader.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the real language host ended before it was ready: %w", err)
	}
	backend, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(line),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return handle(backend, stream) }))

	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(os.Stdout, reader)
		// The real host ends when the engine is gone; so do we.
		_ = host.Wait()
		server.Stop()
	}()
	return server.Serve(listener)
}

// rawCodec hands messages on as the bytes that came.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	frame, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("unexpected message %T", v)
	}
	return *frame, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	frame, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unexpected message %T", v)
	}
	*frame = append([]byte(nil), data...)
	return nil
}

// handle answers one call. Every method of LanguageRuntime takes one request; some answer with a stream.
func handle(backend *grpc.ClientConn, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if method == runPlugin {
		plugin := &pulumirpc.RunPluginRequest{}
		if err := proto.Unmarshal(request, plugin); err != nil {
			return err
		}
		if plugin.GetKind() == analyzerKind {
			return runPolicyPack(plugin, stream)
		}
	}
	return forward(backend, method, request, stream)
}

func forward(backend *grpc.ClientConn, method string, request []byte, stream grpc.ServerStream) error {
	call, err := backend.NewStream(stream.Context(), &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := call.SendMsg(&request); err != nil {
		return err
	}
	if err := call.CloseSend(); err != nil {
		return err
	}
	for {
		var response []byte
		if err := call.RecvMsg(&response); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&response); err != nil {
			return err
		}
	}
}

// runPolicyPack serves the pack through Pulumi's proxy, which first waits for the stack's configuration.
func runPolicyPack(request *pulumirpc.RunPluginRequest, stream grpc.ServerStream) error {
	ctx := stream.Context()
	out := &output{stream: stream}
	pack := request.GetInfo().GetProgramDirectory()

	runner, err := resolveRunner(ctx, pack, request.GetEnv())
	if err != nil {
		return err
	}
	proxy, stdout, err := sdk.NewPolicyProxy(ctx, out.writer(func(b []byte) *pulumirpc.RunPluginResponse {
		return &pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: b}}
	}))
	if err != nil {
		return err
	}
	config, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return err
	}

	pkg := exec.CommandContext(ctx, "node", append(append([]string{runner}, request.GetArgs()...), pack)...)
	pkg.Dir = pack // policy packs read their package.json from the working directory
	pkg.Env = append(request.GetEnv(), stackEnvironment(config)...)
	pkg.Stdout = stdout
	pkg.Stderr = out.writer(func(b []byte) *pulumirpc.RunPluginResponse {
		return &pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: b}}
	})
	if err := pkg.Start(); err != nil {
		return err
	}
	if err := proxy.Attach(ctx, pkg); err != nil && ctx.Err() == nil {
		return status.Errorf(codes.Unknown, "policy pack %s: %v", pack, err)
	}
	return nil
}

// resolveRunner finds the runner in the pack's own dependencies, as Node.js would.
func resolveRunner(ctx context.Context, pack string, env []string) (string, error) {
	find := exec.CommandContext(ctx, "node", "-e", "console.log(require.resolve('"+policyPackRunner+"'))")
	find.Dir, find.Env = pack, env
	path, err := find.Output()
	if err != nil {
		return "", fmt.Errorf("%s can't be found from %s: run `npm install` there or in a folder above it", policyPackRunner, pack)
	}
	return strings.TrimSpace(string(path)), nil
}

// stackEnvironment tells the pack about the stack in the variables that @pulumi/pulumi reads.
func stackEnvironment(stack *pulumirpc.AnalyzerStackConfigureRequest) []string {
	if stack == nil {
		return nil
	}
	env := []string{
		"PULUMI_NODEJS_ORGANIZATION=" + stack.GetOrganization(),
		"PULUMI_NODEJS_PROJECT=" + stack.GetProject(),
		"PULUMI_NODEJS_STACK=" + stack.GetStack(),
		"PULUMI_NODEJS_DRY_RUN=" + strconv.FormatBool(stack.GetDryRun()),
	}
	if config, err := json.Marshal(stack.GetConfig()); err == nil && stack.GetConfig() != nil {
		env = append(env, "PULUMI_CONFIG="+string(config))
	}
	return env
}

// output sends what the pack prints to the engine; a gRPC stream takes one sender at a time.
type output struct {
	lock   sync.Mutex
	stream grpc.ServerStream
}

func (o *output) writer(wrap func([]byte) *pulumirpc.RunPluginResponse) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		frame, err := proto.Marshal(wrap(b))
		if err != nil {
			return 0, err
		}
		o.lock.Lock()
		defer o.lock.Unlock()
		if err := o.stream.SendMsg(&frame); err != nil {
			return 0, err
		}
		return len(b), nil
	})
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }
