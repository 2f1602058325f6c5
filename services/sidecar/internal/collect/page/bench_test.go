package page

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// large is a page as Ray shows it where its replicas and routes are many: so many bytes, nearly all of
// them buckets and what nobody looks for.
func large(tb testing.TB, bytes int) string {
	tb.Helper()
	text := testdata(tb, "rayserve-2.60.0")
	var out strings.Builder
	out.WriteString(text)
	for i := 0; out.Len() < bytes; i++ {
		name := "ray_serve_deployment_processing_latency_ms_bucket"
		if i%3 == 0 {
			name = fmt.Sprintf("ray_component_%d", i%100)
		}
		fmt.Fprintf(&out, "%s{Component=\"core_worker\",NodeAddress=\"192.0.2.2\",Version=\"2.60.0\",WorkerId=\"%08x\","+
			"application=\"default\",deployment=\"A\",le=\"%d\",replica=\"vselkbza\",route=\"/\"} %d.0\n", name, i, i%20, i)
	}
	return out.String()
}

// BenchmarkRead is one look at a page, the connection to it included: MB/s are of the page.
func BenchmarkRead(b *testing.B) {
	for name, text := range map[string]string{
		"vLLM": testdata(b, "vllm-0.32.0-busy") + strings.Repeat("vllm:inter_token_latency_seconds_bucket{engine=\"0\",le=\"0.01\",model_name=\"tiny\"} 0.0\n", 500),
		"Ray":  large(b, 684_000), "KServe": testdata(b, "kserve-0.21.0"),
	} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
			defer server.Close()
			page := New(server.URL)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := page.Read(b.Context()); err != nil || r.Server.Server == "" {
					b.Fatalf("%+v, %v", r, err)
				}
			}
		})
	}
}

// BenchmarkParse is the same without the connection.
func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{"vLLM": testdata(b, "vllm-0.32.0-busy"), "Ray": large(b, 684_000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				families := newFamilies()
				if err := families.add(strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
				_ = read(parse(families))
			}
		})
	}
}
