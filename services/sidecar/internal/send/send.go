// Package send brings measurements to the autoscaler-controller, over the generated client. It keeps
// nothing and tries nothing twice: when to try again is the schedule's decision, and what the
// controller's answer means for it is told by the kind of error.
package send

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
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
)

// Sender sends the measurements of one pod.
type Sender struct {
	pod       string
	namespace string
	api       autoscaler.ClientWithResponsesInterface
}

var _ agent.Sender = (*Sender)(nil)

// New makes a sender. It connects to nothing yet.
func New(url, namespace, pod string) (*Sender, error) {
	api, err := autoscaler.NewClientWithResponses(url, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxAnswer, Timeout: timeout, MaxIdle: 1, Trace: true,
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", url, err)
	}
	return &Sender{pod: pod, namespace: namespace, api: api}, nil
}

// Send sends one measurement.
func (s *Sender) Send(ctx context.Context, m pod.Measurement, age time.Duration) error {
	seconds := min(age.Seconds(), oldest)
	answer, err := s.api.SubmitPodMetricsWithResponse(ctx, common.PodMetrics{
		PodName: s.pod, Namespace: s.namespace, Metrics: wire.Measurements(m), AgeSeconds: &seconds,
	})
	if err != nil {
		return err
	}
	return verdict(answer)
}

// verdict says what the answer means. Only a no to this very measurement is final: a controller
// without the path is an older one that will be replaced, one that wants a token may get one.
func verdict(answer *autoscaler.SubmitPodMetricsResponse) error {
	if answer.JSON200 != nil {
		return nil
	}
	detail := answer.Status()
	if refusal, _ := fault.Read(answer.StatusCode(), answer.Body); refusal.Detail != "" {
		detail += ": " + refusal.Detail
	}
	switch status := answer.StatusCode(); status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return &schedule.RefusedError{Detail: detail}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &schedule.BusyError{After: retryAfter(answer), Detail: detail}
	default:
		return fmt.Errorf("the controller answered %s", detail)
	}
}

func retryAfter(answer *autoscaler.SubmitPodMetricsResponse) time.Duration {
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
