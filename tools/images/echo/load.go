package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is what `echo load` prints. Counts has one entry for each version that answered (the first word of the body),
// "status NNN" for answers other than 2xx, and errors are requests without an answer.
type result struct {
	N       int            `json:"n"`
	Counts  map[string]int `json:"counts"`
	Pods    map[string]int `json:"pods"`
	Errors  int            `json:"errors"`
	Error   string         `json:"error,omitempty"` // the first one, to show why
	P50     float64        `json:"p50"`             // milliseconds, of answered requests
	P90     float64        `json:"p90"`
	P99     float64        `json:"p99"`
	Seconds float64        `json:"seconds"`
	Xfcc    string         `json:"xfcc,omitempty"` // of the first answer that had one
}

type sample struct {
	version, pod, xfcc string
	took               time.Duration
	err                error
}

func clientFlags(name string) *flag.FlagSet {
	return flag.NewFlagSet("echo "+name, flag.ContinueOnError)
}

// newRequest asks for url while naming host, as a client of a gateway does that has no DNS entry for it.
func newRequest(url, host string) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if host != "" {
		request.Host = host
	}
	return request, nil
}

// load sends n requests over c connections and stops early at the timeout; requests that were not sent by then are not
// in n. Exit code 1 when nothing was answered.
func load(args []string, out io.Writer) int {
	flags := clientFlags("load")
	url := flags.String("url", "", "where to send requests")
	host := flags.String("host", "", "Host header")
	n := flags.Int("n", 1000, "requests")
	c := flags.Int("c", 8, "concurrent connections")
	timeout := flags.Duration("timeout", 60*time.Second, "for the whole run")
	each := flags.Duration("request-timeout", 5*time.Second, "for one request")
	if err := flags.Parse(args); err != nil || *url == "" || *n < 1 || *c < 1 || *c > 1024 || flags.NArg() != 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	if _, err := newRequest(*url, *host); err != nil {
		fmt.Fprintln(os.Stderr, "echo load:", err)
		return 2
	}
	run, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	client := &http.Client{Timeout: *each, Transport: &http.Transport{MaxIdleConnsPerHost: *c, MaxConnsPerHost: *c}}

	started := time.Now()
	tickets := make(chan struct{})
	samples := make(chan sample, *c)
	go func() {
		defer close(tickets)
		for range *n {
			select {
			case tickets <- struct{}{}:
			case <-run.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range *c {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range tickets {
				samples <- once(run, client, *url, *host)
			}
		}()
	}
	go func() { workers.Wait(); close(samples) }()

	summary := summarize(samples)
	summary.Seconds = time.Since(started).Seconds()
	if err := json.NewEncoder(out).Encode(summary); err != nil || summary.Errors == summary.N {
		return 1
	}
	return 0
}

func once(run context.Context, client *http.Client, url, host string) sample {
	request, err := newRequest(url, host)
	if err != nil {
		return sample{err: err}
	}
	began := time.Now()
	answer, err := client.Do(request.WithContext(run))
	if err != nil {
		return sample{err: err}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return sample{err: err}
	}
	got := sample{took: time.Since(began), xfcc: answer.Header.Get("x-xfcc")}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		got.version = fmt.Sprintf("status %d", answer.StatusCode)
		return got
	}
	words := strings.Fields(string(body))
	if len(words) > 0 {
		got.version = words[0]
	}
	if len(words) > 1 {
		got.pod = words[1]
	}
	return got
}

func summarize(samples <-chan sample) result {
	all := result{Counts: map[string]int{}, Pods: map[string]int{}}
	var took []time.Duration
	for one := range samples {
		all.N++
		if one.err != nil {
			all.Errors++
			if all.Error == "" {
				all.Error = one.err.Error()
			}
			continue
		}
		took = append(took, one.took)
		all.Counts[one.version]++
		if one.pod != "" {
			all.Pods[one.pod]++
		}
		if all.Xfcc == "" {
			all.Xfcc = one.xfcc
		}
	}
	slices.Sort(took)
	all.P50, all.P90, all.P99 = percentile(took, 50), percentile(took, 90), percentile(took, 99)
	return all
}

// percentile is by nearest rank, in milliseconds.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return float64(sorted[rank-1].Microseconds()) / 1000
}
