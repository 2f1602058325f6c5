package send

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
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// recorder is a controller that takes measurements, behind the contract's own validation.
type recorder struct {
	autoscaler.StrictServerInterface // nothing else is called
	taken                            []common.PodMetrics
}

func (r *recorder) SubmitPodMetrics(_ context.Context, o autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	r.taken = append(r.taken, *o.Body)
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, nil
}

func start(t *testing.T, r *recorder) string {
	t.Helper()
	return serve(t, r)
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

func sender(t *testing.T, url string) *Sender {
	t.Helper()
	s, err := New(url, Pod{Namespace: "default", Name: "web-7d4b9c-x2x4k"}, 25*time.Second, Way{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSend_TheControllerTakesWhatWasMeasuredAndNothingElse(t *testing.T) {
	r := &recorder{}
	s := sender(t, start(t, r))
	m := pod.New(time.Now())
	m.Window = 5 * time.Second
	m.Set(pod.CPU, 412.5)
	m.Set(pod.Queued, 0)
	m.Miss(pod.Memory, "unknown")
	if err := s.Send(t.Context(), m, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	cpu, queued, age, valid, window := 412.5, 0.0, 1.5, 25.0, 5.0
	want := []common.PodMetrics{{
		PodName: "web-7d4b9c-x2x4k", Namespace: "default", AgeSeconds: &age, ValidSeconds: &valid, WindowSeconds: &window,
		Metrics: common.Measurements{CpuUsage: &cpu, Queued: &queued},
	}}
	if diff := cmp.Diff(want, r.taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestSend_EveryValueFitsTheContract(t *testing.T) {
	r := &recorder{}
	s := sender(t, start(t, r))
	for _, value := range []float64{0, 0.5, 1} {
		m := pod.New(time.Now())
		for _, kind := range pod.Kinds {
			m.Set(kind, value)
		}
		if err := s.Send(t.Context(), m, 240*time.Hour); err != nil { // older than the contract has it
			t.Error(err)
		}
	}
	if len(r.taken) != 3 {
		t.Errorf("%d were taken", len(r.taken))
	}
}

func TestSend_TellsARefusalFromAControllerThatIsAway(t *testing.T) {
	const problem = `{"type":"urn:x","title":"t","status":400,"code":"invalid","detail":"cpuUsage: too much"}`
	for name, c := range map[string]struct {
		status  int
		header  string
		refused bool
		busy    time.Duration // -1: not busy
	}{
		"a bad measurement":               {http.StatusBadRequest, "", true, -1},
		"too many":                        {http.StatusTooManyRequests, "7", false, 7 * time.Second},
		"no leader yet":                   {http.StatusServiceUnavailable, "1", false, time.Second},
		"unavailable without a word":      {http.StatusServiceUnavailable, "", false, 0},
		"an older one without the path":   {http.StatusNotFound, "", false, -1},
		"one that wants to know who I am": {http.StatusUnauthorized, "", false, -1},
		"a broken one":                    {http.StatusInternalServerError, "", false, -1},
		"something else that answers":     {http.StatusOK, "", false, -1},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/problem+json")
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			if c.status == http.StatusOK {
				w.Header().Set("Content-Type", "text/html")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, problem)
		}))
		err := sender(t, server.URL).Send(t.Context(), pod.New(time.Now()), 0)
		server.Close()
		if err == nil || schedule.Final(err) != c.refused {
			t.Errorf("%s: error is %v", name, err)
		}
		busy, ok := errors.AsType[*schedule.BusyError](err)
		if ok != (c.busy >= 0) || ok && busy.After != c.busy {
			t.Errorf("%s: error is %#v", name, err)
		}
	}
	if err := sender(t, "http://127.0.0.1:1").Send(t.Context(), pod.New(time.Now()), 0); err == nil || schedule.Final(err) {
		t.Errorf("nobody there: error is %v", err)
	}
}

// older is a controller whose contract has none of the newer fields, and takes no others, as 0.1.0 did.
func older(t *testing.T, taken *[]common.PodMetrics) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body common.PodMetrics
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		refusal := &fault.Error{Code: fault.Invalid}
		if body.ValidSeconds != nil {
			refusal.With("validSeconds", "", "no such field")
		}
		if body.WindowSeconds != nil {
			refusal.With("windowSeconds", "", "no such field")
		}
		*taken = append(*taken, body)
		if len(refusal.Fields) > 0 {
			fault.Write(w, r, refusal)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"Metrics received"}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestSend_AnOlderControllerIsAskedOnceAndThenToldInItsOwnWords(t *testing.T) {
	var taken []common.PodMetrics
	s := sender(t, older(t, &taken))
	m := pod.New(time.Now())
	m.Window = time.Second
	m.Set(pod.CPU, 1)
	for range 3 {
		if err := s.Send(t.Context(), m, 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(taken) != 4 || taken[0].ValidSeconds == nil {
		t.Fatalf("%d pushes: %+v", len(taken), taken)
	}
	for _, p := range taken[1:] {
		if p.ValidSeconds != nil || p.WindowSeconds != nil {
			t.Errorf("a newer field again: %+v", p)
		}
	}
	// It may have been replaced meanwhile.
	s.plainUntil = time.Now()
	if err := s.Send(t.Context(), m, 0); err != nil || taken[4].ValidSeconds == nil {
		t.Errorf("%v, %+v", err, taken[4:])
	}
}

func TestNewer_IsARefusalOfNewerFieldsAlone(t *testing.T) {
	for want, fields := range map[bool][][]string{
		true:  {{"validSeconds"}, {"windowSeconds"}, {"validSeconds", "windowSeconds"}},
		false: {nil, {"metrics.cpuUsage"}, {"validSeconds", "metrics.cpuUsage"}},
	} {
		for _, f := range fields {
			if newer(f) != want {
				t.Errorf("%v: %v", f, !want)
			}
		}
	}
}
