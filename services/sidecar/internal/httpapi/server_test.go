package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/sidecar"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// scripted is an agent with this state, whose commands end so.
type scripted struct {
	state    agent.State
	err      error
	commands []string
}

func (s *scripted) State() agent.State { return s.state }
func (s *scripted) Collect(context.Context) error {
	s.commands = append(s.commands, "collect")
	return s.err
}

func (s *scripted) Send(context.Context) error {
	s.commands = append(s.commands, "send")
	return s.err
}

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func measured(values map[pod.Kind]float64) agent.State {
	m := pod.New(now.Add(-1500 * time.Millisecond))
	for kind, value := range values {
		m.Set(kind, value)
	}
	m.Miss(pod.Disk, "no folders are named (disk-paths)")
	return agent.State{Measurement: m, Measured: true, Delivery: schedule.Delivery{
		Sent: 7, Dropped: 2, Refused: 1, Waiting: 3, LastSent: now.Add(-time.Minute), LastError: strings.Repeat("é", 1000),
	}}
}

// call asks, and refuses an answer that the contract does not have.
func call(t *testing.T, a Agent, method, path string) (int, []byte) {
	t.Helper()
	handler := Handler(Options{Agent: a, Pod: "web-x", Namespace: "default", Now: func() time.Time { return now }})
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	spec, err := sidecar.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	operation := spec.Paths.Find(path).GetOperation(method)
	response := operation.Responses.Status(answer.Code)
	if response == nil {
		response = operation.Responses.Default()
	}
	media := response.Value.Content.Get(answer.Header().Get("Content-Type"))
	if media == nil {
		t.Fatalf("%s %s: the contract has no %d with %q", method, path, answer.Code, answer.Header().Get("Content-Type"))
	}
	var body any
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if err := media.Schema.Value.VisitJSON(body); err != nil {
		t.Errorf("%s %s: the answer does not fit the contract: %v", method, path, err)
	}
	return answer.Code, answer.Body.Bytes()
}

func TestGetPodMetrics_TellsTheLastMeasurementAndWhatBecameOfIt(t *testing.T) {
	a := &scripted{state: measured(map[pod.Kind]float64{pod.CPU: 412.5, pod.Memory: 0})}
	status, raw := call(t, a, http.MethodGet, "/v1/metrics")
	var got sidecar.SidecarState
	if err := json.Unmarshal(raw, &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, error %v", status, raw, err)
	}
	if got.PodName != "web-x" || got.Namespace != "default" || got.AgeSeconds != 1.5 || got.Sent != 7 || got.Dropped != 2 || got.Waiting != 3 {
		t.Errorf("%+v", got)
	}
	if m := got.Metrics; m.CpuUsage == nil || *m.CpuUsage != 412.5 || m.MemoryUsage == nil || *m.MemoryUsage != 0 || m.DiskUsage != nil || m.GpuUsage != nil {
		t.Errorf("%s", raw)
	}
	if got.Missing == nil || len(*got.Missing) != 1 || !strings.HasPrefix((*got.Missing)[0], "diskUsage: ") {
		t.Errorf("missing is %v", got.Missing)
	}
	if got.LastError == nil || len(*got.LastError) > 1024 || got.LastSentAt == nil || !got.LastSentAt.Equal(now.Add(-time.Minute)) {
		t.Errorf("%s", raw)
	}
}

func TestGetPodMetrics_TellsWhoseTheApplicationsPageIs(t *testing.T) {
	for name, c := range map[string]struct {
		is   pod.Application
		want string
	}{
		"none":        {pod.Application{}, `null`},
		"known":       {pod.Application{Server: "vLLM", Version: "0.32.0", Models: []string{"a", "b"}}, `{"knownFrom":"0.32.0","models":["a","b"],"server":"vLLM"}`},
		"by its docs": {pod.Application{Server: "TGI"}, `{"server":"TGI"}`},
		"faulty":      {pod.Application{Unread: []string{"x has"}}, `{"unread":["x has"]}`},
		"long": {
			pod.Application{Server: "Triton", Models: []string{strings.Repeat("é", 200)}, MoreModels: 3, Unread: []string{strings.Repeat("y", 600)}},
			`{"models":["` + strings.Repeat("é", 125) + `…"],"moreModels":3,"server":"Triton","unread":["` + strings.Repeat("y", 509) + `…"]}`,
		},
	} {
		state := measured(map[pod.Kind]float64{pod.CPU: 1})
		state.Measurement.Application = c.is
		_, raw := call(t, &scripted{state: state}, http.MethodGet, "/v1/metrics")
		var got struct {
			Application any `json:"application"`
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(got.Application); err != nil || string(text) != c.want {
			t.Errorf("%s: %s, error %v, want %s", name, text, err, c.want)
		}
	}
	state := measured(map[pod.Kind]float64{pod.CPU: 1})
	state.Measurement.Application.Unread = make([]string, 100)
	call(t, &scripted{state: state}, http.MethodGet, "/v1/metrics") // which fits the contract
}

func TestCommands_DoWhatTheySayAndTellWhatIsKnownThen(t *testing.T) {
	a := &scripted{state: measured(map[pod.Kind]float64{pod.CPU: 1})}
	for _, command := range []string{"collect", "send"} {
		if status, raw := call(t, a, http.MethodPost, "/v1/metrics/"+command); status != http.StatusOK {
			t.Errorf("%s: %d %s", command, status, raw)
		}
	}
	if strings.Join(a.commands, " ") != "collect send" {
		t.Errorf("the agent was told %q", a.commands)
	}
}

func TestRefusals_SayWhatToDo(t *testing.T) {
	full := measured(map[pod.Kind]float64{pod.CPU: 1})
	for name, c := range map[string]struct {
		agent        *scripted
		method, path string
		status       int
		detail       string
	}{
		"nothing yet":      {&scripted{}, http.MethodGet, "/v1/metrics", 503, "first measurement"},
		"nothing at all":   {&scripted{state: measured(nil)}, http.MethodPost, "/v1/metrics/collect", 503, "disk-paths"},
		"controller away":  {&scripted{state: full, err: errors.New("connection refused")}, http.MethodPost, "/v1/metrics/send", 502, "connection refused; measurements that wait: 3"},
		"controller's no":  {&scripted{state: full, err: &schedule.RefusedError{Detail: "400"}}, http.MethodPost, "/v1/metrics/send", 502, "refuses it"},
		"the sidecar ends": {&scripted{state: full, err: fault.New(fault.Unavailable, "the sidecar ends").After(time.Second)}, http.MethodPost, "/v1/metrics/send", 503, "ends"},
		"ends, collecting": {&scripted{state: full, err: fault.New(fault.Unavailable, "the sidecar ends").After(time.Second)}, http.MethodPost, "/v1/metrics/collect", 503, "ends"},
	} {
		status, raw := call(t, c.agent, c.method, c.path)
		var problem common.Problem
		if err := json.Unmarshal(raw, &problem); err != nil || status != c.status || problem.Detail == nil || !strings.Contains(*problem.Detail, c.detail) {
			t.Errorf("%s: %d %s, want %d with %q", name, status, raw, c.status, c.detail)
		}
	}
}

func TestHandler_RefusesOtherPathsAndMethods(t *testing.T) {
	handler := Handler(Options{Agent: &scripted{}, Now: time.Now})
	for path, c := range map[string]struct {
		method string
		status int
		code   string
		allow  string
	}{
		"/v1/metrics":      {http.MethodDelete, http.StatusMethodNotAllowed, "method-not-allowed", "GET"},
		"/v1/metrics/send": {http.MethodGet, http.StatusMethodNotAllowed, "method-not-allowed", "POST"},
		"/v1/metrics/":     {http.MethodGet, http.StatusNotFound, "not-found", ""},
		"/":                {http.MethodPost, http.StatusNotFound, "not-found", ""},
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), c.method, path, nil))
		var problem common.Problem
		if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil || answer.Code != c.status || problem.Code != c.code || answer.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %s, Allow %q, error %v", c.method, path, answer.Code, answer.Body, answer.Header().Get("Allow"), err)
		}
	}
}
