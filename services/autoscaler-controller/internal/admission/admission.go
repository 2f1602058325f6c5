// Package admission is the adapter to the API server's questions (AdmissionReview, admission.k8s.io/v1): whether
// the sidecar is put into a pod that is about to be made, and whether a CustomAutoscaler may be written. What is
// answered is injection's, advice's and contract's to say. How the API server finds this port, and trusts it, is
// webhook's.
//
// Whoever knows the path may ask, and only the API server does: it is a secret, which stands beside the key of
// the certificate and in the webhook's configuration, and people without rights in the cluster read neither.
// Without it answers would say to any pod what applications others have.
//
// Where it cannot be told what is right, a pod is left as it is and an object is taken: nothing must wait for
// Nemesis to be made.
package admission

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

// Picture is what is known of the cluster.
type Picture interface {
	// Missing says what is not known yet; "": nothing.
	Missing() string
	// Sidecar is what is said of it for the pods of a Deployment; false: nobody asks for it.
	Sidecar(namespace, deployment string) (injection.Sidecar, bool)
	// Advise says what of a CustomAutoscaler does not fit what there is.
	Advise(a fleet.Autoscaler, created time.Time, spec contract.Spec) []string
}

// Meter measures.
type Meter interface {
	// Reviewed counts a question by what became of it.
	Reviewed(k Kind, r Result, took time.Duration)
}

// Options are what is needed to answer. All are needed.
type Options struct {
	Picture   Picture
	Meter     Meter
	Log       *slog.Logger
	Namespace string // the controller's own, whose pods are left alone
	Sidecar   injection.Settings
	Path      func() string // the secret part of the path; "": it is not known yet
}

// The bounds of what is read: of objects the API server takes 3 MiB, and a change brings two.
const (
	maxBody     = 7 << 20
	bodyTime    = 5 * time.Second
	maxAtOnce   = 16
	waitForTurn = time.Second
)

// Kind is what is asked.
type Kind string

// The kinds are the last part of the path.
const (
	Inject Kind = "inject"
	Review Kind = "review"
)

// Result is what became of a question: an injection.Outcome of a pod, and of all one of these.
type Result string

// All results beside the outcomes of pods.
const (
	Allowed    Result = "allowed"
	Warned     Result = "warned"
	Refused    Result = "refused"
	Blind      Result = "blind"      // the cluster is not known yet
	Unreadable Result = "unreadable" // it is no question that is known here
	Busy       Result = "busy"       // too many at once
)

// Results are all that there may be of a kind.
func Results(k Kind) []Result {
	list := []Result{Blind, Unreadable, Busy}
	if k == Review {
		return append(list, Allowed, Warned, Refused)
	}
	for _, o := range injection.Outcomes {
		list = append(list, Result(o))
	}
	return list
}

// Kinds are all.
var Kinds = []Kind{Inject, Review}

type handler struct {
	Options
	turns chan struct{}
}

// New makes the handler.
func New(o Options) http.Handler { return &handler{o, make(chan struct{}, maxAtOnce)} }

// ServeHTTP answers a question.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, known := h.kind(r.URL.Path)
	if !known {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a question is asked by POST", http.StatusMethodNotAllowed)
		return
	}
	begun := time.Now()
	result := h.answer(w, r, kind)
	h.Meter.Reviewed(kind, result, time.Since(begun))
}

func (h *handler) kind(path string) (Kind, bool) {
	secret, kind, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	want := h.Path()
	if !ok || want == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(want)) != 1 {
		return "", false
	}
	return Kind(kind), Kind(kind) == Inject || Kind(kind) == Review
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, kind Kind) Result {
	if !h.turn(r.Context()) {
		http.Error(w, "too many questions at once", http.StatusServiceUnavailable)
		return Busy
	}
	defer func() { <-h.turns }()
	question, status, err := read(w, r)
	if err != nil {
		h.Log.Warn("the API server's question cannot be read", "kind", string(kind), "error", err)
		http.Error(w, err.Error(), status)
		return Unreadable
	}
	response := admissionv1.AdmissionResponse{UID: question.UID, Allowed: true}
	var result Result
	if kind == Inject {
		result = h.inject(question, &response)
	} else {
		result = h.review(question, &response)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: reviewKind}, Response: &response,
	}) // who went away has no answer
	return result
}

const reviewKind = "AdmissionReview"

// turn waits until one may be answered; false: not soon.
func (h *handler) turn(ctx context.Context) bool {
	select {
	case h.turns <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(waitForTurn)
	defer patience.Stop()
	select {
	case h.turns <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

func read(w http.ResponseWriter, r *http.Request) (*admissionv1.AdmissionRequest, int, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, http.StatusUnsupportedMediaType, errors.New("a question is application/json")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // where there is a connection
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, http.StatusRequestEntityTooLarge, err
		}
		return nil, http.StatusBadRequest, err
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &review); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if review.APIVersion != admissionv1.SchemeGroupVersion.String() || review.Kind != reviewKind || review.Request == nil || review.Request.UID == "" {
		return nil, http.StatusBadRequest, errors.New("it is not an AdmissionReview of " + admissionv1.SchemeGroupVersion.String() + " with a request and its uid")
	}
	return review.Request, 0, nil
}
