package httpserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Check says what a service still waits for before it can serve; "" means that it can.
type Check func() string

// Readiness holds the checks of a service.
type Readiness struct {
	mu           sync.Mutex
	checks       []Check
	troubles     []func() []string
	certificates []func() []CertificateTimes
}

// CertificateTimes is from when to when a certificate is good; its schema is in api/common.yaml.
type CertificateTimes struct {
	Use    string    `json:"use"`
	Begins time.Time `json:"begins"`
	Ends   time.Time `json:"ends"`
}

// mostCertificates are shown, as the contract has it.
const mostCertificates = 32

// Add adds a check.
func (r *Readiness) Add(c Check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, c)
}

// AddTrouble adds what people should look at though the service can serve.
func (r *Readiness) AddTrouble(look func() []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.troubles = append(r.troubles, look)
}

// AddCertificates adds certificates that the service shows, or that others are verified by.
func (r *Readiness) AddCertificates(look func() []CertificateTimes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.certificates = append(r.certificates, look)
}

// Certificates are those that there are, in the order in which they were added.
func (r *Readiness) Certificates() []CertificateTimes {
	r.mu.Lock()
	looks := slices.Clone(r.certificates)
	r.mu.Unlock()
	all := make([]CertificateTimes, 0, len(looks))
	for _, look := range looks {
		all = append(all, look()...)
	}
	return all[:min(len(all), mostCertificates)]
}

// Trouble is what there is of it, in the order in which it was added.
func (r *Readiness) Trouble() []string {
	r.mu.Lock()
	looks := slices.Clone(r.troubles)
	r.mu.Unlock()
	all := make([]string, 0, len(looks))
	for _, look := range looks {
		all = append(all, look()...)
	}
	return all
}

// WaitingFor is what is missing, in the order of the checks; empty when the service can serve.
func (r *Readiness) WaitingFor() []string {
	r.mu.Lock()
	checks := slices.Clone(r.checks)
	r.mu.Unlock()
	var missing []string
	for _, check := range checks {
		if m := check(); m != "" {
			missing = append(missing, m)
		}
	}
	return missing
}

// health is the answer; its schema is Health in api/common.yaml.
type health struct {
	Status       string             `json:"status"`
	WaitingFor   []string           `json:"waitingFor,omitempty"`
	Trouble      []string           `json:"trouble,omitempty"`
	Certificates []CertificateTimes `json:"certificates,omitempty"`
}

// OperationPaths are those that Operations serves beside every contract; the generated copy of a
// contract does not have them.
func OperationPaths() []string { return []string{"/healthz", "/readyz", "/metrics"} }

// Operations serves /healthz, /readyz and, by the handler that is given, /metrics; what is neither GET nor HEAD is
// answered 405.
func Operations(metrics http.Handler, ready *Readiness) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, health{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		is := health{Status: "ok", WaitingFor: ready.WaitingFor(), Trouble: ready.Trouble(), Certificates: ready.Certificates()}
		if len(is.WaitingFor) > 0 {
			is.Status = "unavailable"
			answer(w, http.StatusServiceUnavailable, is)
			return
		}
		answer(w, http.StatusOK, is)
	})
	mux.Handle("GET /metrics", metrics)
	for _, path := range OperationPaths() {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { // else a handler at / would know nothing of the path
			w.Header().Set("Allow", "GET, HEAD")
			fault.Write(w, r, fault.New(fault.MethodNotAllowed, "the path has no operation with this method"))
		})
	}
	return mux
}

func answer(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // the kubelet has gone away: nothing to do
}
