package httpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func TestReadAll_ReadsUpToItsBoundAndNoByteMore(t *testing.T) {
	const most = 1000
	for _, n := range []int{0, 1, most - 1, most, most + 1, 10 * most} {
		text := bytes.Repeat([]byte("x"), n)
		for name, reader := range map[string]io.Reader{
			"at once": bytes.NewReader(text), "byte by byte": iotest.OneByteReader(bytes.NewReader(text)),
			"with the end": iotest.DataErrReader(bytes.NewReader(text)), "by halves": iotest.HalfReader(bytes.NewReader(text)),
		} {
			got, err := ReadAll(reader, most)
			if tooLarge := n > most; errors.Is(err, ErrTooLarge) != tooLarge || !tooLarge && err != nil || len(got) != min(n, most) {
				t.Errorf("%d bytes %s: %d are read, %v", n, name, len(got), err)
			}
		}
	}
	broken := errors.New("broken off")
	if got, err := ReadAll(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), most); string(got) != "half" || !errors.Is(err, broken) {
		t.Errorf("an answer broken off: %q, %v", got, err)
	}
}

func FuzzReadAll_IsTheStartOfWhatIsThere(f *testing.F) {
	f.Add([]byte("text"), uint8(3))
	f.Add([]byte("text"), uint8(4))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, most uint8) {
		got, err := ReadAll(iotest.OneByteReader(bytes.NewReader(text)), int64(most))
		if want := text[:min(len(text), int(most))]; !bytes.Equal(got, want) || (err != nil) != (len(text) > int(most)) {
			t.Errorf("%d of %d bytes, at most %d: %v", len(got), len(text), most, err)
		}
	})
}

// get asks a server, and reads its answer.
func get(t *testing.T, c *Client, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer, string(body), err
}

func TestClient_BoundsAnAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Path)))
	}))
	defer server.Close()
	c := New(Options{MaxAnswer: 4})
	if _, body, err := get(t, c, server.URL+"/123"); err != nil || body != "xxxx" {
		t.Errorf("%q, %v", body, err)
	}
	if _, body, err := get(t, c, server.URL+"/1234"); !errors.Is(err, ErrTooLarge) || body != "xxxx" || !strings.Contains(err.Error(), "4 bytes") {
		t.Errorf("one byte more: %q, %v", body, err)
	}
}

func TestClient_FollowsARedirectOnlyWhenItMay(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusFound)
		}
	}))
	defer server.Close()
	for no, want := range map[bool]int{false: http.StatusOK, true: http.StatusFound} {
		if answer, _, err := get(t, New(Options{NoRedirects: no}), server.URL+"/from"); err != nil || answer.StatusCode != want {
			t.Errorf("no redirects %v: %v, want %d", no, err, want)
		}
	}
}

func TestClient_SendsTheTraceWhenItIsToGo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Traceparent"))
	}))
	defer server.Close()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	inject := func(ctx context.Context, head http.Header) {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(head))
	}
	for want, send := range map[string]Trace{"": nil, "00-01000000000000000000000000000000-0200000000000000-00": inject} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := New(Options{Trace: send}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); err != nil || string(body) != want {
			t.Errorf("%q, want %q, %v", body, want, err)
		}
		_ = answer.Body.Close()
	}
}

func TestClient_WrapsEveryExchange(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	wrapped := 0
	c := New(Options{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Wrap: func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			wrapped++
			return next.RoundTrip(r)
		})
	}})
	if answer, _, err := get(t, c, server.URL); err != nil || answer.StatusCode != http.StatusNotFound || wrapped != 1 {
		t.Errorf("%v, wrapped %d times", err, wrapped)
	}
	if _, _, err := get(t, New(Options{}), server.URL); err == nil {
		t.Error("an authority that is not known is trusted")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// silent is the network to a server that takes connections and says nothing, or only a head.
func silent(head string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer func() { _ = there.Close() }()
			if head != "" {
				_, _ = there.Read(make([]byte, 4096))
				_, _ = io.WriteString(there, head)
			}
			_, _ = io.Copy(io.Discard, there)
		}()
		return here, nil
	}
}

func TestClient_GivesUpAServerThatFallsSilent(t *testing.T) {
	for name, c := range map[string]struct {
		head string
		o    Options
		want time.Duration
	}{
		"before the head":                 {"", Options{HeadTimeout: 2 * time.Second}, 2 * time.Second},
		"in the body":                     {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Options{HeadTimeout: 2 * time.Second, Timeout: 3 * time.Second}, 3 * time.Second},
		"before the head, with one bound": {"", Options{Timeout: 4 * time.Second}, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.o.Dial = silent(c.head)
				began := time.Now()
				_, _, err := get(t, New(c.o), "http://silent/")
				if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || time.Since(began) != c.want {
					t.Errorf("%v after %v, want a timeout after %v", err, time.Since(began), c.want)
				}
			})
		})
	}
}

func TestNewTransport_TakesTheDefaultsForWhatIsNotSet(t *testing.T) {
	plain := NewTransport(Options{})
	if plain.TLSHandshakeTimeout != time.Second || plain.IdleConnTimeout != 90*time.Second || plain.Proxy != nil || plain.MaxResponseHeaderBytes != maxHead {
		t.Errorf("%+v", plain)
	}
	set := NewTransport(Options{Connect: 5 * time.Second, IdleTimeout: time.Minute, MaxIdle: 8, HeadTimeout: time.Hour, Proxy: http.ProxyFromEnvironment})
	if set.TLSHandshakeTimeout != 5*time.Second || set.IdleConnTimeout != time.Minute || set.MaxIdleConnsPerHost != 8 || set.ResponseHeaderTimeout != time.Hour || set.Proxy == nil {
		t.Errorf("%+v", set)
	}
}

// authorities take note of whom they are asked to verify.
type authorities struct{ asked []string }

func (a *authorities) DialTLS(dial func(context.Context, string, string) (net.Conn, error), within time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		a.asked = append(a.asked, address+" "+within.String())
		return dial(ctx, network, address) // in clear text
	}
}

func TestClient_ServicesAreVerifiedByTheAuthoritiesThatItIsGiven(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	address := server.Listener.Addr().String()
	a := &authorities{}
	c := New(Options{Authorities: a, Connect: 7 * time.Second})
	for _, scheme := range []string{"https://", "http://"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	if len(a.asked) != 1 || a.asked[0] != address+" 7s" {
		t.Error(a.asked)
	}
}
