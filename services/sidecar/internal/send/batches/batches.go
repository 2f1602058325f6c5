// Package batches is a metrics-collector's part of package send: it brings the measurements of many pods to the
// controller, and has it issue certificates. It is apart because the sidecar's program has neither.
package batches

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batcher"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
)

const (
	maxReceipt = 8 << 20 // bytes: that of a batch whose every item is refused
	timeout    = 5 * time.Second
	maxAnswer  = 64 << 10 // bytes
	idle       = 10 * time.Second
	oldest     = 86400 // seconds; the contract has no older values
)

// Sender sends what many pods pushed, as it came but for its age.
type Sender struct {
	name string
	api  autoscaler.ClientWithResponsesInterface
}

var _ batcher.Sender[common.PodMetrics] = (*Sender)(nil)

// New makes a sender in this collector's name. It connects to nothing yet.
func New(url, name string, way send.Way) (*Sender, error) {
	api, err := autoscaler.NewClientWithResponses(url, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxReceipt, Timeout: timeout, MaxIdle: 1, IdleTimeout: idle, Wrap: way.Wrap, Authorities: way.Authorities,
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", url, err)
	}
	return &Sender{name: name, api: api}, nil
}

// SendBatch sends a batch. A controller without the path is an older one, and is told one by one.
func (b *Sender) SendBatch(ctx context.Context, items []batch.Item[common.PodMetrics]) (batcher.Outcome, error) {
	now := time.Now()
	body := autoscaler.PodMetricsBatch{Collector: &b.name, Items: make([]common.PodMetrics, len(items))}
	for i, item := range items {
		body.Items[i] = item.Push
		body.Items[i].AgeSeconds = new(min(max(now.Sub(item.At).Seconds(), 0), oldest))
	}
	answer, err := b.api.SubmitPodMetricsBatchWithResponse(ctx, body)
	if err != nil {
		return batcher.Outcome{}, err
	}
	if r := answer.JSON200; r != nil {
		return outcome(r), nil
	}
	if status := answer.StatusCode(); status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return b.singly(ctx, body.Items)
	}
	return batcher.Outcome{}, send.Refusal(answer.StatusCode(), answer.Status(), answer.Body)
}

func outcome(r *autoscaler.PodMetricsBatchReceipt) batcher.Outcome {
	o := batcher.Outcome{Accepted: int(r.Accepted)}
	if r.Refused != nil && len(*r.Refused) > 0 {
		o.Refused, o.Refusal = len(*r.Refused), (*r.Refused)[0].Reason
	}
	return o
}

// singly sends the items in the words of an older controller. It gives up with the first that fails: the
// others come again with the next values of their pods.
func (b *Sender) singly(ctx context.Context, items []common.PodMetrics) (o batcher.Outcome, err error) {
	for _, item := range items {
		item.ValidSeconds, item.WindowSeconds = nil, nil
		answer, err := b.api.SubmitPodMetricsWithResponse(ctx, item)
		if err != nil {
			return o, err
		}
		if answer.JSON200 == nil {
			err = send.Refusal(answer.StatusCode(), answer.Status(), answer.Body)
		}
		switch {
		case schedule.Final(err):
			o.Refused++
			o.Refusal = err.Error()
		case err != nil:
			return o, err
		default:
			o.Accepted++
		}
	}
	return o, nil
}
