package httpserver

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// BenchmarkSecure_PushesOnKeptConnections compares pushes over TLS with the same in clear text, through the same server, side
// by side, client included; and a push on a connection of its own with each, resumed as the services do it.
func BenchmarkSecure_PushesOnKeptConnections(b *testing.B) {
	body := []byte(strings.Repeat("x", 300)) // as large as a sidecar's
	for name, kept := range map[string]bool{"kept": true, "own connection each": false} {
		for _, scheme := range []string{"http", "https"} {
			b.Run(name+"/"+scheme, func(b *testing.B) {
				p := securePort(b, true, Options{})
				c := p.config("first")
				c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableKeepAlives: !kept, TLSClientConfig: c}
				defer transport.CloseIdleConnections()
				web := &http.Client{Transport: transport}
				b.ReportAllocs()
				before := processorTime()
				defer func() { b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op") }()
				b.RunParallel(func(each *testing.PB) {
					for each.Next() {
						answer, err := web.Post(scheme+"://"+p.address+"/", "application/json", bytes.NewReader(body))
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
					}
				})
			})
		}
	}
}

// processorTime is what this process has had of the processors: on a busy machine the time of day says little.
func processorTime() int64 {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}
