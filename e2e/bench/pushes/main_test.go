package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

func sent(t *testing.T, p *pusher) (path string, body []byte) {
	t.Helper()
	p.write()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p.request.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.URL.Path, body
}

func TestWrite_WritesPushesAndBatchesOfDifferentPods(t *testing.T) {
	seen := map[string]bool{}
	one := newPusher(scenario{items: 1}, 0, nil)
	for range 3 {
		path, body := sent(t, one)
		var push common.PodMetrics
		if err := json.Unmarshal(body, &push); err != nil || path != "/metrics" || push.Metrics.CpuUsage == nil {
			t.Fatalf("%s %s: %v", path, body, err)
		}
		seen[push.PodName] = true
	}
	if len(seen) != 3 {
		t.Errorf("pods %v", seen)
	}
	path, body := sent(t, newPusher(scenario{items: 500}, 0, nil))
	var batch autoscaler.PodMetricsBatch
	if err := json.Unmarshal(body, &batch); err != nil || path != "/v1/pod-metrics" || len(batch.Items) != 500 {
		t.Fatalf("%s, %d items: %v", path, len(batch.Items), err)
	}
}

func TestConclude_TakesTheMedian(t *testing.T) {
	r := &result{Name: "x", Rates: []float64{3, 1, 2}, Micros: []float64{50, 10, 20}}
	r.conclude()
	if r.Rate != 2 || r.Micro != 20 || r.Core != 50_000 || r.Size != 0 {
		t.Errorf("%+v", r)
	}
	var out strings.Builder
	table(&out, []*result{r, {Name: "y", Size: 2048}})
	if !strings.Contains(out.String(), "50000") || !strings.Contains(out.String(), "2.0") {
		t.Error(out.String())
	}
}
