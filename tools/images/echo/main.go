// Command echo is the small program that stands for an application in kvmesh's own checks: a server that says which
// version it is, and a client that counts who answered.
//
//	echo serve :8080 v1     answer "v1 <pod>" on every path; /healthz answers "ok"
//	echo load -url U ...    send a bounded number of requests, print one line of JSON
//	echo get URL            one request; prints status and body, exit code 1 unless the answer is 2xx
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage:
  echo serve :PORT VERSION
  echo load -url URL [-host NAME] [-n 1000] [-c 8] [-timeout 60s] [-request-timeout 5s]
  echo get [-host NAME] [-timeout 5s] URL
`

func main() {
	code := 2
	switch {
	case len(os.Args) == 4 && os.Args[1] == "serve":
		code = serve(os.Args[2], os.Args[3])
	case len(os.Args) > 2 && os.Args[1] == "load":
		code = load(os.Args[2:], os.Stdout)
	case len(os.Args) > 2 && os.Args[1] == "get":
		code = get(os.Args[2:])
	default:
		fmt.Fprint(os.Stderr, usage)
	}
	os.Exit(code)
}

func serve(address, version string) int {
	server := &http.Server{Addr: address, Handler: handler(version, podName()), ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		<-stop.Done()
		// Kubernetes has taken the pod out of its services by now or will soon: finish what is running.
		grace, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		_ = server.Shutdown(grace)
		close(stopped)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "echo:", err)
		return 1
	}
	<-stopped
	return 0
}

// handler answers with the version and the pod's name on one line, and reports in the x-xfcc response header what the
// server's sidecar said about the client's certificate (empty when the request came without mutual TLS).
func handler(version, pod string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-xfcc", r.Header.Get("X-Forwarded-Client-Cert"))
		w.Header().Set("x-version", version)
		fmt.Fprintf(w, "%s %s\n", version, pod)
	})
	return mux
}

func podName() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func get(args []string) int {
	flags := clientFlags("get")
	host := flags.String("host", "", "Host header")
	timeout := flags.Duration("timeout", 5*time.Second, "for the whole request")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	request, err := newRequest(flags.Arg(0), *host)
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo get:", err)
		return 2
	}
	answer, err := (&http.Client{Timeout: *timeout}).Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo get:", err)
		return 1
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo get:", err)
		return 1
	}
	fmt.Printf("%d\n", answer.StatusCode)
	if xfcc := answer.Header.Get("x-xfcc"); xfcc != "" {
		fmt.Printf("x-xfcc: %s\n", xfcc)
	}
	fmt.Print(string(body))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return 1
	}
	return 0
}
