// Package send brings the measurements of a pod to the autoscaler-controller, over the generated client; package
// batches, below it, does so for many pods. It keeps nothing and tries nothing twice: when to try again is the
// schedule's decision, and what the controller's answer means for it is told by the kind of error.
package send

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/lean/common"
	"github.com/nemesis-scaling/nemesis/gen/lean/push"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/wire"
)

const (
	timeout   = 2 * time.Second
	maxAnswer = 64 << 10 // bytes
	oldest    = 86400    // seconds; the contract has no older values
	// A connection is kept from one measurement to the next, and not from one heartbeat to the next: the
	// controller, which has many pods, closes it after 12 s.
	idle = 10 * time.Second
	// How long a controller that refused the newer fields is taken for an older one.
	plainFor = 10 * time.Minute
)

// Sender sends the measurements of one pod.
type Sender struct {
	pod       string
	namespace string
	validFor  time.Duration
	api       push.ClientWithResponsesInterface

	plainUntil time.Time // the controller is an older one: it takes none of the newer fields
}

var _ agent.Sender = (*Sender)(nil)

// Wrap goes around every exchange with the controller: with a token, say. Nil is nothing.
type Wrap func(http.RoundTripper) http.RoundTripper

// Way is how the controller is reached. The zero value is by its URL alone.
type Way struct {
	Wrap        Wrap
	Authorities httpclient.Authorities // verify it where its URL begins with https; nil: the system's do
}

// Pod is who measures itself.
type Pod struct{ Namespace, Name string }

// New makes a sender of a pod's measurements, each of which counts for validFor unless another comes. It
// connects to nothing yet.
func New(url string, of Pod, validFor time.Duration, way Way) (*Sender, error) {
	api, err := push.NewClientWithResponses(url, push.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxAnswer, Timeout: timeout, MaxIdle: 1, IdleTimeout: idle, Wrap: way.Wrap, Authorities: way.Authorities,
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", url, err)
	}
	return &Sender{pod: of.Name, namespace: of.Namespace, validFor: validFor, api: api}, nil
}

// Send sends one measurement.
func (s *Sender) Send(ctx context.Context, m pod.Measurement, age time.Duration) error {
	body := common.PodMetrics{
		PodName: s.pod, Namespace: s.namespace, Metrics: wire.Measurements(m), AgeSeconds: new(min(age.Seconds(), oldest)),
	}
	if time.Now().Before(s.plainUntil) {
		return s.push(ctx, body)
	}
	full := body
	if s.validFor > 0 {
		full.ValidSeconds = new(s.validFor.Seconds())
	}
	if m.Window > 0 {
		full.WindowSeconds = new(min(m.Window.Seconds(), oldest))
	}
	err := s.push(ctx, full)
	if refused, ok := errors.AsType[*schedule.RefusedError](err); ok && newer(refused.Fields) {
		s.plainUntil = time.Now().Add(plainFor)
		return s.push(ctx, body)
	}
	return err
}

// newer tells that nothing was refused but fields that older controllers do not know.
func newer(fields []string) bool {
	for _, f := range fields {
		if f != "validSeconds" && f != "windowSeconds" {
			return false
		}
	}
	return len(fields) > 0
}

func (s *Sender) push(ctx context.Context, body common.PodMetrics) error {
	answer, err := s.api.SubmitPodMetricsWithResponse(ctx, body)
	if err != nil {
		return err
	}
	return verdict(answer)
}

// verdict says what the answer means. Only a no to this very measurement is final: a controller
// without the path is an older one that will be replaced, one that wants a token may get one.
func verdict(answer *push.SubmitPodMetricsResponse) error {
	if answer.JSON200 != nil {
		return nil
	}
	err := Refusal(answer.StatusCode(), answer.Status(), answer.Body)
	if busy, ok := errors.AsType[*schedule.BusyError](err); ok {
		busy.After = retryAfter(answer)
	}
	return err
}

func retryAfter(answer *push.SubmitPodMetricsResponse) time.Duration {
	var seconds *int
	switch {
	case answer.Headers429 != nil:
		seconds = answer.Headers429.RetryAfter
	case answer.Headers503 != nil:
		seconds = answer.Headers503.RetryAfter
	}
	if seconds == nil {
		return 0
	}
	return time.Duration(min(max(*seconds, 0), oldest)) * time.Second
}
