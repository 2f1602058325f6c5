// Package intake serves to sidecars what the controller does: POST /metrics, with the same answers by the
// same contract. What they push is handed on, to be sent together with that of others.
package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
)

const (
	maxBody = 16 << 10 // bytes of a push
	path    = "/metrics"
	// usual is how long values count that say nothing of it.
	usual = 20 * time.Second
	// retryAfter is when to ask again while the controller is away.
	retryAfter = 5 * time.Second
	patience   = 3 * time.Second // for a body
)

// Taker takes pushes; false when it cannot pass any on.
type Taker interface {
	Put(i batch.Item[common.PodMetrics], now time.Time) bool
}

// Caller says which pod a push comes from; known is false where that is not known and does not matter. An
// error is a refusal.
type Caller func(ctx context.Context, h http.Header) (from batch.Pod, known bool, err error)

// Handler serves POST /metrics.
// What is refused for who sends it has its connection closed: kept ones are for those who are let in, of whom kept is told.
func Handler(to Taker, caller Caller, kept func(http.ResponseWriter, *http.Request)) (http.Handler, error) {
	spec, err := autoscaler.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract of the autoscaler-controller: %w", err)
	}
	whole := spec.Paths.Find(path)
	if whole == nil || whole.Post == nil {
		return nil, fmt.Errorf("contract of the autoscaler-controller: it has no POST %s", path)
	}
	spec.Paths = openapi3.NewPaths(openapi3.WithPath(path, &openapi3.PathItem{Post: whole.Post}))
	push := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { take(w, r, to) })
	checked := httpserver.LimitBody(maxBody)(inTime(contract.Validate(spec)(push)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != path { // it is refused there
			checked.ServeHTTP(w, r)
			return
		}
		from, known, err := caller(r.Context(), r.Header)
		if err != nil {
			w.Header().Set("Connection", "close")
			fault.Write(w, r, err)
			return
		}
		kept(w, r)
		checked.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sender{}, whose{from, known})))
	}), nil
}

type sender struct{}

// whose is what is known of who sent a push.
type whose struct {
	pod   batch.Pod
	known bool
}

// inTime bounds how long a body may take to come.
func inTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // the server sets another for the next request
		next.ServeHTTP(w, r)
	})
}

// take hands on a push that was checked against the contract.
func take(w http.ResponseWriter, r *http.Request, to Taker) {
	body, err := io.ReadAll(r.Body)
	var in common.PodMetrics
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
		return
	}
	from, asked := r.Context().Value(sender{}).(whose)
	switch {
	case !asked: // a slip: nobody is served, rather than everybody
		fault.Write(w, r, fault.New(fault.Internal, "nobody judged this push"))
		return
	case from.known && from.pod != batch.Pod{Namespace: in.Namespace, Name: in.PodName}:
		fault.Write(w, r, fault.New(fault.Forbidden, "a pod measures itself alone: the token is the pod %s's in the namespace %s", from.pod.Name, from.pod.Namespace).
			With("podName", in.PodName, from.pod.Name))
		return
	}
	now := time.Now()
	if !to.Put(item(in, now), now) {
		fault.Write(w, r, fault.New(fault.Unavailable, "the autoscaler-controller is away for longer than values count").After(retryAfter))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(autoscaler.MetricsReceipt{Status: autoscaler.MetricsReceived}) // the sidecar has gone: nothing to do
}

func item(in common.PodMetrics, now time.Time) batch.Item[common.PodMetrics] {
	seconds := func(s *float64) time.Duration {
		if s == nil {
			return 0
		}
		return time.Duration(*s * float64(time.Second))
	}
	valid := seconds(in.ValidSeconds)
	if valid == 0 {
		valid = usual
	}
	at := now.Add(-seconds(in.AgeSeconds))
	return batch.Item[common.PodMetrics]{Pod: batch.Pod{Namespace: in.Namespace, Name: in.PodName}, At: at, Until: at.Add(valid), Push: in}
}
