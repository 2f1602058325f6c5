// Package gopeer holds the two proxies that are this program itself: httputil.ReverseProxy as a careful
// user sets it up, and a bare exchange.
package gopeer

import (
	"context"
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

// Run serves the proxy of this name: its listeners for HTTP, HTTPS and its own metrics, the backend,
// and the files of the certificate.
func Run(ctx context.Context, name string, args []string) error {
	if len(args) != 6 {
		return fmt.Errorf("%s: %d arguments are not allowed: must be LISTEN LISTEN_TLS LISTEN_ADMIN BACKEND CERTIFICATE KEY", name, len(args))
	}
	plain, err := listen(ctx, args[0])
	if err != nil {
		return err
	}
	admin, err := listen(ctx, args[2])
	if err != nil {
		return err
	}
	ends := make(chan error, 3)
	go func() {
		ends <- (&http.Server{Handler: http.HandlerFunc(metrics), ReadHeaderTimeout: time.Minute}).Serve(admin)
	}()
	if name == "bare" {
		go func() { ends <- (&bare{backend: args[3]}).serve(plain) }()
	} else {
		secure, err := listen(ctx, args[1])
		if err != nil {
			return err
		}
		server := &http.Server{Handler: reverseProxy(args[3]), ReadHeaderTimeout: time.Minute}
		go func() { ends <- server.Serve(plain) }()
		if args[4] != "" {
			go func() { ends <- server.ServeTLS(secure, args[4], args[5]) }()
		}
	}
	select {
	case err := <-ends:
		return err
	case <-ctx.Done():
		return nil
	}
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
}

func reverseProxy(backend string) http.Handler {
	target := &url.URL{Scheme: "http", Host: backend}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: time.Hour, DisableCompression: true,
		},
		BufferPool: &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}},
	}
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
