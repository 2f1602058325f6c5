package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
)

// HandOver has the leader know the changes that went through this replica: CustomAutoscalers may be changed through any,
// and who reads the changes is answered by the leader. A new leader is told all that is held here, and keeps each once.
type HandOver struct {
	Book interface {
		After(number uint64, limit int) (list []changes.Change, last uint64, news <-chan struct{})
	}
	Leadership Leadership
	Client     *httpclient.Client // with this service's own token
	Secure     bool               // the leader is called by TLS
	Log        *slog.Logger
	Failed     func() // is told of each time that it did not succeed; nil: nobody
}

const (
	handedAtOnce = 50 // changes, as in the contract
	handTimeout  = 3 * time.Second
)

var handAgain = retry.Backoff{First: time.Second, Most: 15 * time.Second}

// Run works until ctx ends.
func (h *HandOver) Run(ctx context.Context) {
	var to string // who was told
	var told uint64
	failures, size := 0, handedAtOnce
	for ctx.Err() == nil {
		leader, changed := h.Leadership.Leader()
		if leader != to {
			to, told, failures, size = leader, 0, 0, handedAtOnce
		}
		list, last, news := h.Book.After(told, size)
		if leader == "" || len(list) == 0 {
			select {
			case <-changed:
			case <-news:
			case <-ctx.Done():
			}
			continue
		}
		if err := h.give(ctx, leader, list); err != nil {
			if failures++; failures == 1 && ctx.Err() == nil {
				h.Log.WarnContext(ctx, "changes are in the log here, and not yet known to the leader", "leader", leader, "error", err)
			}
			if h.Failed != nil {
				h.Failed()
			}
			if fault.Is(err, fault.Invalid) || fault.Is(err, fault.TooLarge) { // of them some will never be taken
				if len(list) == 1 {
					told = last
				}
				size = 1
				continue
			}
			retry.Pause(ctx, handAgain.Near(failures, rand.Float64))
			continue
		}
		if told, failures = last, 0; size < handedAtOnce {
			size++
		}
	}
}

func (h *HandOver) give(ctx context.Context, leader string, list []changes.Change) error {
	ctx, cancel := context.WithTimeout(ctx, handTimeout)
	defer cancel()
	report := autoscaler.ChangeReport{Items: make([]autoscaler.Change, len(list))}
	for i := range list {
		report.Items[i] = shownChange(&list[i])
	}
	api, err := autoscaler.NewClientWithResponses(schemeOf(h.Secure)+leader, autoscaler.WithHTTPClient(h.Client))
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	answer, err := api.ReportChangesWithResponse(ctx, report)
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	if answer.StatusCode() != http.StatusOK {
		err, _ = fault.Read(answer.StatusCode(), answer.Body)
	}
	return err
}
