package httpserver

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/encryption"
)

var dialer net.Dialer

const handshake = 10 * time.Second

// BenchmarkSecure_PushesOnKeptConnections compares pushes over TLS with the same in clear text, through the same server, side
// by side, client included; and a push on a connection of its own with each, resumed as the services do it.
func BenchmarkSecure_PushesOnKeptConnections(b *testing.B) {
	body := []byte(strings.Repeat("x", 300)) // as large as a sidecar's
	for name, kept := range map[string]bool{"kept": true, "own connection each": false} {
		for _, scheme := range []string{"http", "https"} {
			b.Run(name+"/"+scheme, func(b *testing.B) {
				p := securePort(b, true, Options{})
				authorities := (&encryption.Settings{CAFile: p.authority.File}).NewAuthorities()
				transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableKeepAlives: !kept, DialTLSContext: authorities.DialTLS(dialer.DialContext, handshake)}
				defer transport.CloseIdleConnections()
				web := &http.Client{Transport: transport}
				b.ReportAllocs()
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
