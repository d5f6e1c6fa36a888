package main

// Today's engine tells a policy pack about its stack with a call (ConfigureStack); the Node.js policy SDK wants it in
// environment variables at its start. The official language host stands between the two, and so does this file: it
// answers as the pack until the configuration is there, starts the pack with it, and then forwards every call unread.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	methodHandshake      = "/pulumirpc.Analyzer/Handshake"
	methodConfigureStack = "/pulumirpc.Analyzer/ConfigureStack"
	maxMessage           = 400 << 20 // as in Pulumi's own servers
)

// Fields of AnalyzerStackConfigureRequest, which this SDK does not have.
const (
	fieldStack        protowire.Number = 1
	fieldProject      protowire.Number = 2
	fieldOrganization protowire.Number = 3
	fieldDryRun       protowire.Number = 4
	fieldConfig       protowire.Number = 7
)

// policyPack is one pack's process, started when it is known for which stack.
type policyPack struct {
	ctx            context.Context
	command        func(env []string) *exec.Cmd
	stdout, stderr io.Writer

	start  sync.Once
	conn   *grpc.ClientConn
	failed error
	exited chan error
}

// runPolicyPack serves the pack until the engine ends the call or the pack ends.
func runPolicyPack(ctx context.Context, command func(env []string) *exec.Cmd, stdout, stderr io.Writer) error {
	pack := &policyPack{ctx: ctx, command: command, stdout: stdout, stderr: stderr, exited: make(chan error, 1)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage), grpc.UnknownServiceHandler(pack.handle))
	defer server.Stop()
	go func() { _ = server.Serve(listener) }()
	if _, err := fmt.Fprintf(stdout, "%d\n", listener.Addr().(*net.TCPAddr).Port); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-pack.exited:
		return err
	}
}

// handle answers one call. Every method of Analyzer takes one message and gives one.
func (p *policyPack) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request, response []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if method == methodHandshake {
		return stream.SendMsg(&response)
	}
	var env []string
	if method == methodConfigureStack {
		env = stackEnvironment(request)
	}
	p.start.Do(func() { p.failed = p.run(env) })
	if p.failed != nil {
		return p.failed
	}
	if err := p.conn.Invoke(stream.Context(), method, &request, &response); err != nil {
		return err
	}
	return stream.SendMsg(&response)
}

// run starts the pack's process and connects to the port that it prints first.
func (p *policyPack) run(env []string) error {
	cmd := p.command(env)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = p.stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	reader := bufio.NewReader(out)
	port, err := reader.ReadString('\n')
	if err != nil {
		err = errors.Join(fmt.Errorf("the policy pack ended before it was ready"), cmd.Wait())
		p.exited <- err
		return err
	}
	go func() {
		_, _ = io.Copy(p.stdout, reader)
		p.exited <- cmd.Wait()
	}()
	p.conn, err = grpc.Dial("127.0.0.1:"+strings.TrimSpace(port), //nolint:staticcheck // this SDK's gRPC has no NewClient
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	return err
}

// stackEnvironment says in the variables of @pulumi/pulumi what a ConfigureStack call says.
func stackEnvironment(request []byte) []string {
	config := map[string]string{}
	dryRun := false
	for rest := request; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			break
		}
		rest = rest[n:]
		size := protowire.ConsumeFieldValue(number, kind, rest)
		if size < 0 {
			break
		}
		switch {
		case number == fieldDryRun && kind == protowire.VarintType:
			value, _ := protowire.ConsumeVarint(rest)
			dryRun = value != 0
		case number == fieldConfig && kind == protowire.BytesType:
			entry, _ := protowire.ConsumeBytes(rest)
			config[string(bytesField(entry, 1))] = string(bytesField(entry, 2))
		}
		rest = rest[size:]
	}
	env := []string{
		"PULUMI_NODEJS_ORGANIZATION=" + string(bytesField(request, fieldOrganization)),
		"PULUMI_NODEJS_PROJECT=" + string(bytesField(request, fieldProject)),
		"PULUMI_NODEJS_STACK=" + string(bytesField(request, fieldStack)),
		"PULUMI_NODEJS_DRY_RUN=" + strconv.FormatBool(dryRun),
	}
	if encoded, err := json.Marshal(config); err == nil {
		env = append(env, "PULUMI_CONFIG="+string(encoded))
	}
	return env
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
