// Package gopeer holds the two proxies that are this program itself: httputil.ReverseProxy as a careful
// user sets it up, and a bare exchange.
package gopeer

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"
	"time"
)

const idleConnections = 1024

// options are where a proxy listens and what it passes on to.
type options struct {
	listen, listenTLS, listenH2, listenAdmin string
	backend, backendH2                       string
	certificate, key                         string
}

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("gopeer", flag.ContinueOnError)
	set.StringVar(&o.listen, "listen", "", "address for HTTP/1.1")
	set.StringVar(&o.listenTLS, "listen-tls", "", "address for HTTPS")
	set.StringVar(&o.listenH2, "listen-h2", "", "address for HTTP/2 in clear")
	set.StringVar(&o.listenAdmin, "listen-admin", "", "address for metrics")
	set.StringVar(&o.backend, "backend", "", "address that speaks HTTP/1.1")
	set.StringVar(&o.backendH2, "backend-h2", "", "address that speaks HTTP/2 in clear")
	set.StringVar(&o.certificate, "certificate", "", "file")
	set.StringVar(&o.key, "key", "", "file")
	return o, set.Parse(args)
}

// Run serves one of the two until ctx ends.
func Run(ctx context.Context, isBare bool, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	served := []service{{o.listenAdmin, (&http.Server{Handler: http.HandlerFunc(metrics), ReadHeaderTimeout: time.Minute}).Serve}}
	if isBare {
		served = append(served, service{o.listen, (&bare{backend: o.backend}).serve})
	} else {
		plain, grpc := server(o.backend, false), server(o.backendH2, true)
		served = append(served, service{o.listen, plain.Serve}, service{o.listenH2, grpc.Serve},
			service{o.listenTLS, func(l net.Listener) error { return plain.ServeTLS(l, o.certificate, o.key) }})
	}
	ends := make(chan error, len(served))
	for _, s := range served {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
		if err != nil {
			return err
		}
		go func() { ends <- s.serve(l) }()
	}
	select {
	case err := <-ends:
		return err
	case <-ctx.Done():
		return nil
	}
}

// service is a server and its address.
type service struct {
	addr  string
	serve func(net.Listener) error
}

// server passes everything on, over HTTP/1.1 or over HTTP/2 in clear, on both sides.
func server(backend string, h2 bool) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	target := &url.URL{Scheme: "http", Host: backend}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: time.Hour, DisableCompression: true, Protocols: protocols,
		},
		BufferPool: &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}},
	}
	return &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute, Protocols: protocols}
}

// buffers are for bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) } //nolint:forcetypeassert // it holds nothing else
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// metrics shows the allocations as Prometheus's collector does.
func metrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_heap_inuse_bytes %d\ngo_memstats_stack_inuse_bytes %d\n", m.Mallocs, m.HeapInuse, m.StackInuse)
}
