package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// Guard judges who calls.
type Guard interface {
	Judge(ctx context.Context, operation string, header http.Header, namespace string) (guard.Grant, error)
	Review(ctx context.Context, token string, right access.Right, namespaces []string) (guard.Review, error)
	Published(ctx context.Context) (issuer string, keys []rawMessage, err error)
}

// guarded lets in what the guard lets in, before anything is read of it: an operation that it has judged, and what
// is none, which goes on to be refused as such. What is passed on, to the leader or to another shard's, carries
// the caller's token on, and is judged there again: no replica takes another's word for who calls.
type guarded struct {
	guard Guard
	known operations
	next  http.Handler
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, namespace := g.known.find(r)
	if operation == "" {
		g.next.ServeHTTP(w, r)
		return
	}
	grant, err := g.guard.Judge(r.Context(), operation, r.Header, namespace)
	if err != nil {
		fault.Write(w, r, err)
		return
	}
	g.next.ServeHTTP(w, r.WithContext(guard.With(r.Context(), operation, grant)))
}

// Guarded is a handler of one operation that stands beside the API.
func Guarded(judge Guard, operation string, next http.Handler) http.Handler {
	if judge == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := judge.Judge(r.Context(), operation, r.Header, ""); err != nil {
			fault.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyJudged is the last look before an operation is done: that it is the one that was judged. The guard and the
// router read the path each in its own way, and must not come to differ unseen.
func onlyJudged(known operations) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, judged := guard.From(r.Context())
			if judged == "" || judged != known.of(r.Method, chi.RouteContext(r.Context()).RoutePattern()) {
				fault.Write(w, r, fault.New(fault.Forbidden, "nobody has judged who calls this"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// granted is what a call may be shown.
func (a *api) granted(ctx context.Context) *guard.Grant {
	if a.Guard == nil {
		all := guard.All()
		return &all
	}
	if g, _ := guard.From(ctx); g != nil {
		return g
	}
	return &guard.Grant{} // which sees nothing
}

// seen are the namespaces of these that a call may be shown; nil: all.
func (a *api) seen(ctx context.Context, namespace string, all func() []string) (map[string]bool, error) {
	g := a.granted(ctx)
	if g.Everywhere() {
		return nil, nil
	}
	if namespace != "" {
		return g.Sees(ctx, []string{namespace})
	}
	return g.Sees(ctx, all())
}

// operations are those of the contract, by method and path.
type operations struct {
	exact     map[string]string // "GET /v1/pods"
	templates []template
	patterns  map[string]string // "GET /v1/applications/{namespace}/{name}"
}

// template is a path with parameters; "" stands for one.
type template struct {
	method, operation string
	parts             []string
	namespace         int // the part that names one; negative: none does
}

func newOperations(spec *openapi3.T) operations {
	o := operations{exact: map[string]string{}, patterns: map[string]string{}}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			// What is built in has them as Go writes names; the contract begins them small.
			id := strings.ToLower(operation.OperationID[:1]) + operation.OperationID[1:]
			o.patterns[method+" "+path] = id
			if !strings.Contains(path, "{") {
				o.exact[method+" "+path] = id
				continue
			}
			t := template{method: method, operation: id, parts: strings.Split(path, "/"), namespace: -1}
			for i, part := range t.parts {
				if part == "{namespace}" {
					t.namespace = i
				}
				if strings.HasPrefix(part, "{") {
					t.parts[i] = ""
				}
			}
			o.templates = append(o.templates, t)
		}
	}
	return o
}

// of is the operation of a pattern of the router; "": none.
func (o *operations) of(method, pattern string) string { return o.patterns[method+" "+pattern] }

// find is the operation of a call and the namespace that it names; "": there is none.
func (o *operations) find(r *http.Request) (operation, namespace string) {
	path := r.URL.EscapedPath() // as the router reads it
	switch path {
	case pushPath:
		if r.Method == http.MethodPost {
			return submitPodMetrics, ""
		}
	case batchPath:
		if r.Method == http.MethodPost {
			return submitPodMetricsBatch, ""
		}
	}
	if operation := o.exact[r.Method+" "+path]; operation != "" {
		return operation, r.URL.Query().Get("namespace")
	}
	parts := strings.Split(path, "/")
	for _, t := range o.templates {
		if t.method == r.Method && t.fits(parts) {
			if t.namespace >= 0 {
				namespace, _ = url.PathUnescape(parts[t.namespace])
			}
			return t.operation, namespace
		}
	}
	return "", ""
}

func (t *template) fits(parts []string) bool {
	if len(parts) != len(t.parts) {
		return false
	}
	for i, part := range t.parts {
		if part != parts[i] && (part != "" || i == 0) || parts[i] == "" && i > 0 {
			return false
		}
	}
	return true
}

// The operations of the short way.
const (
	submitPodMetrics      = "submitPodMetrics"
	submitPodMetricsBatch = "submitPodMetricsBatch"
)

// contractOperations are those of the contract.
func contractOperations() (operations, error) {
	spec, err := autoscaler.GetSpec()
	if err != nil {
		return operations{}, err //nolint:wrapcheck // of what is built in
	}
	return newOperations(spec), nil
}
