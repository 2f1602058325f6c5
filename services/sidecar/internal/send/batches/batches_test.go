package batches

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batcher"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
)

// batches is a controller that takes them, behind the contract's own validation.
type batches struct {
	autoscaler.StrictServerInterface // nothing else is called
	bodies                           []autoscaler.PodMetricsBatch
	answer                           autoscaler.PodMetricsBatchReceipt
}

func (b *batches) SubmitPodMetricsBatch(_ context.Context, o autoscaler.SubmitPodMetricsBatchRequestObject) (autoscaler.SubmitPodMetricsBatchResponseObject, error) {
	b.bodies = append(b.bodies, *o.Body)
	return autoscaler.SubmitPodMetricsBatch200JSONResponse(b.answer), nil
}

func serve(t *testing.T, r autoscaler.StrictServerInterface) string {
	t.Helper()
	spec, err := autoscaler.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(contract.Validate(spec)(autoscaler.Handler(autoscaler.NewStrictHandler(r, nil))))
	t.Cleanup(server.Close)
	return server.URL
}

func items(pods ...string) (list []batch.Item[common.PodMetrics]) {
	at := time.Now().Add(-2 * time.Second)
	for _, name := range pods {
		list = append(list, batch.Item[common.PodMetrics]{
			Pod: batch.Pod{Namespace: "n", Name: name}, At: at, Until: at.Add(time.Minute),
			Push: common.PodMetrics{PodName: name, Namespace: "n", ValidSeconds: new(25.0), Metrics: common.Measurements{Queued: new(1.0)}},
		})
	}
	return list
}

func sender(t *testing.T, url string) *Sender {
	t.Helper()
	s, err := New(url, "collector-x", send.Way{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSendBatch_TheControllerTakesWhatSidecarsPushedAndItsAge(t *testing.T) {
	refused := []autoscaler.RefusedItem{{Index: 1, Reason: "too much"}}
	b := &batches{answer: autoscaler.PodMetricsBatchReceipt{Accepted: 2, Refused: &refused}}
	s := sender(t, serve(t, b))
	got, err := s.SendBatch(t.Context(), items("p", "q", "r"))
	if err != nil || got != (batcher.Outcome{Accepted: 2, Refused: 1, Refusal: "too much"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if len(b.bodies) != 1 || len(b.bodies[0].Items) != 3 || *b.bodies[0].Collector != "collector-x" {
		t.Fatalf("%+v", b.bodies)
	}
	if i := b.bodies[0].Items[2]; i.PodName != "r" || *i.AgeSeconds < 2 || *i.ValidSeconds != 25 || *i.Metrics.Queued != 1 {
		t.Errorf("%+v", i)
	}
}

func TestSendBatch_AnOlderControllerIsToldOneByOneInItsOwnWords(t *testing.T) {
	var taken []common.PodMetrics
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		var body common.PodMetrics
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		taken = append(taken, body)
		if body.PodName == "q" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"Metrics received"}`)
	}))
	defer server.Close()
	got, err := sender(t, server.URL).SendBatch(t.Context(), items("p", "q", "r"))
	if err != nil || got.Accepted != 2 || got.Refused != 1 || got.Refusal == "" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, p := range taken {
		if p.ValidSeconds != nil || p.AgeSeconds == nil {
			t.Errorf("%+v", p)
		}
	}
	names := []string{}
	for _, p := range taken {
		names = append(names, p.PodName)
	}
	if diff := cmp.Diff([]string{"p", "q", "r"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSendBatch_TellsARefusalFromAControllerThatIsAway(t *testing.T) {
	for status, c := range map[int]struct {
		final bool
		busy  time.Duration // -1: not busy
	}{
		http.StatusBadRequest: {true, -1}, http.StatusRequestEntityTooLarge: {true, -1},
		http.StatusTooManyRequests: {false, 7 * time.Second}, http.StatusServiceUnavailable: {false, 7 * time.Second},
		http.StatusInternalServerError: {false, -1}, http.StatusUnauthorized: {false, -1},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"type":"urn:x","title":"t","status":400,"code":"invalid","detail":"no","retryAfterSeconds":7}`)
		}))
		_, err := sender(t, server.URL).SendBatch(t.Context(), items("p"))
		server.Close()
		busy, ok := errors.AsType[*schedule.BusyError](err)
		if err == nil || schedule.Final(err) != c.final || ok != (c.busy >= 0) || ok && busy.After != c.busy {
			t.Errorf("%d: %#v", status, err)
		}
	}
	if _, err := sender(t, "http://127.0.0.1:1").SendBatch(t.Context(), items("p")); err == nil || schedule.Final(err) {
		t.Errorf("nobody there: %v", err)
	}
}
