package problem

import (
	"net/http"
	"strings"
)

// Router is mux with problem documents where mux itself would refuse in plain text: a path that
// is not served (404, naming those that are) and a method that is not allowed (405).
func Router(mux *http.ServeMux, served ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// mux knows which methods a path has, but says so only in an answer.
		verdict := verdict{header: http.Header{}}
		refuse.ServeHTTP(&verdict, r)
		if verdict.status == http.StatusMethodNotAllowed {
			allow := verdict.header.Get("Allow")
			w.Header().Set("Allow", allow)
			Write(w, r, Problem{
				Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Title: "The method is not allowed here",
				Detail: Shorten(r.Method) + " is not allowed on this path; allowed: " + allow,
				Errors: []Field{{Field: "method", Value: Shorten(r.Method), Allowed: allow}},
			})
			return
		}
		Write(w, r, Problem{
			Status: http.StatusNotFound, Code: "not-found", Title: "There is nothing at this path",
			Detail: "served are " + strings.Join(served, ", "),
		})
	})
}

// verdict keeps the status and the header of an answer and drops its text.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(p []byte) (int, error) { return len(p), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }
