package ingest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type sink struct {
	got      fleet.Report
	verdict  fleet.Verdict
	reported []fleet.Verdict
	leads    bool
}

func (s *sink) Leading() bool                       { return s.leads }
func (s *sink) Report(r fleet.Report) fleet.Verdict { s.got = r; return s.verdict }
func (s *sink) Reported(v fleet.Verdict)            { s.reported = append(s.reported, v) }

const sent = `{"balancer":"lb","startedAt":"2026-01-02T03:00:00Z","sequence":7,"routesVersion":"k.1","address":"10.0.0.1:8082","leaving":true,"epoch":"k3","delta":true,"applications":[
	{"namespace":"ns","deployment":"app","inFlight":1,"streaming":2,"waiting":3,"waitingBytes":4,"lastActivity":"2026-01-02T03:04:05Z",
	 "pods":[{"pod":"p","inFlight":3,"streaming":2},{"pod":"q","inFlight":1}],"requests":5,"failures":6,"rejected":7,"arrivals":8,"busySeconds":9.5,"streamSeconds":10.5,"tunnelSeconds":11,"tunnels":1,"latency":{"count":3,"sumMs":30,"buckets":[{"index":24,"count":2},{"index":25,"count":1}]},
	 "wakeUps":[{"id":"t","arrivedAt":"2026-01-02T03:04:00Z","firstByteAt":"2026-01-02T03:04:01Z","pod":"p","waited":2,"outcome":"Answered"}]},
	{"namespace":"ns","deployment":"quiet","inFlight":0,"streaming":0,"waiting":0,"waitingBytes":0,"requests":0,"failures":0,"rejected":0}]}`

func TestReportTraffic(t *testing.T) {
	var body autoscaler.TrafficReport
	if err := json.Unmarshal([]byte(sent), &body); err != nil {
		t.Fatal(err)
	}
	s := &sink{verdict: fleet.Taken}
	if _, err := NewTraffic(s, s, "k3").ReportTraffic(t.Context(), autoscaler.ReportTrafficRequestObject{Body: &body}); err != nil {
		t.Fatal(err)
	}
	for _, leads := range []bool{true, false} {
		s.leads = leads
		answer, err := NewTraffic(s, s, "k3").ReportTraffic(t.Context(), autoscaler.ReportTrafficRequestObject{Body: &body})
		if receipt, ok := answer.(autoscaler.ReportTraffic200JSONResponse); err != nil || !ok || *receipt.Leader != leads {
			t.Errorf("leads %v: %+v, %v", leads, answer, err)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	want := fleet.Report{
		Balancer: "lb", StartedAt: at.Add(-4 * time.Minute), Sequence: 7, RoutesVersion: "k.1", Address: "10.0.0.1:8082", Leaving: true,
		Epoch: "k3", Delta: true,
		Applications: []fleet.Traffic{
			{
				Key: fleet.Key{Namespace: "ns", Deployment: "app"}, InFlight: 1, Streaming: 2, Waiting: 3, LastActivity: at.Add(5 * time.Second),
				Summed: true, Arrivals: 8, BusySeconds: 9.5, StreamSeconds: 10.5, Tunnels: 1,
				Pods: []fleet.PodTraffic{{Pod: "p", InFlight: 3, Streaming: 2}, {Pod: "q", InFlight: 1}}, PodsSaid: true,
				Requests: 5, Failures: 6, Rejected: 7, Latency: fleet.Sketch{Count: 3, SumMs: 30, Buckets: map[int32]int64{24: 2, 25: 1}},
				WakeUps: []fleet.WakeReport{{ID: "t", ArrivedAt: at, FirstByte: at.Add(time.Second), Pod: "p", Waited: 2, Outcome: fleet.Answered}},
			},
			{Key: fleet.Key{Namespace: "ns", Deployment: "quiet"}, WakeUps: []fleet.WakeReport{}},
		},
	}
	if diff := cmp.Diff(want, s.got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.verdict = fleet.TooMany
	if _, err := NewTraffic(s, s, "k3").ReportTraffic(t.Context(), autoscaler.ReportTrafficRequestObject{Body: &body}); !fault.Is(err, fault.TooMany) {
		t.Errorf("too many: %v", err)
	}
	s.verdict = fleet.Old
	if _, err := NewTraffic(s, s, "k3").ReportTraffic(t.Context(), autoscaler.ReportTrafficRequestObject{Body: &body}); err != nil {
		t.Errorf("an old one: %v", err)
	}
	s.verdict = fleet.Resync
	answer, err := NewTraffic(s, s, "k3").ReportTraffic(t.Context(), autoscaler.ReportTrafficRequestObject{Body: &body})
	if got, ok := answer.(autoscaler.ReportTraffic200JSONResponse); err != nil || !ok || *got.Epoch != "k3" || got.Resync == nil || !*got.Resync {
		t.Errorf("one that builds on what is not known: %+v, %v", answer, err)
	}
	if diff := cmp.Diff([]fleet.Verdict{fleet.Taken, fleet.Taken, fleet.Taken, fleet.TooMany, fleet.Old, fleet.Resync}, s.reported); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}
