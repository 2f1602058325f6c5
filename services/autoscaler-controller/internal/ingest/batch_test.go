package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

func batch(items ...string) string {
	return `{"collector":"c","items":[` + strings.Join(items, ",") + `]}`
}

const (
	fine   = `{"podName":"p","namespace":"n","metrics":{"queued":1}}`
	nested = `{"podName":"q","namespace":"n","later":{},"metrics":{"queued":2}}` // for the contract to judge
	wrong  = `{"podName":"P","namespace":"n","metrics":{"queued":-1}}`
)

func TestPushBatch_OneItemAtFaultKeepsNoOtherFromBeingTaken(t *testing.T) {
	s := &scale{}
	m := newMetrics(t, s)
	receipt, understood, _ := m.PushBatch([]byte(batch(fine, wrong, nested, `7`)), access.Caller{}, nil)
	if !understood || receipt.Accepted != 2 || receipt.Refused == nil || len(*receipt.Refused) != 2 {
		t.Fatalf("understood %v: %+v", understood, receipt)
	}
	refused := *receipt.Refused
	if r := refused[0]; r.Index != 1 || !strings.Contains(r.Reason, "-1 is not allowed: from 0 to 1000000000") || r.Errors == nil || len(*r.Errors) != 2 {
		t.Errorf("%+v", r)
	}
	if r := refused[1]; r.Index != 3 || !strings.Contains(r.Reason, "object") {
		t.Errorf("%+v", r)
	}
	if len(s.got) != 2 || s.got[0].Pod.Name != "p" || s.got[1].Pod.Name != "q" || s.counted != 2 || s.refused != 2 {
		t.Errorf("got %+v, counted %d and %d", s.got, s.counted, s.refused)
	}
}

func TestPushBatch_OfItemsAtFaultAloneMeasuresNothing(t *testing.T) {
	s := &scale{}
	receipt, understood, _ := newMetrics(t, s).PushBatch([]byte(batch(wrong)), access.Caller{}, nil)
	if !understood || receipt.Accepted != 0 || len(*receipt.Refused) != 1 || s.got != nil {
		t.Errorf("%+v, got %v", receipt, s.got)
	}
}

// to are two replicas: one whose shard has the namespace "n", and the other with the rest, by the length of
// the name.
func to(there *Metrics, bodies *[]string) (func(namespace string) (int, bool), Pass) {
	var mu sync.Mutex
	return func(namespace string) (int, bool) { return len(namespace), namespace == "n" },
		func(shard int, body []byte) (autoscaler.PodMetricsBatchReceipt, error) {
			mu.Lock()
			defer mu.Unlock()
			*bodies = append(*bodies, fmt.Sprintf("%d: %s", shard, body))
			receipt, understood, err := there.PushBatch(body, access.Caller{}, nil)
			if !understood {
				return receipt, errors.New("not understood")
			}
			return receipt, err
		}
}

func TestPushBatch_PassesOnWhatIsOfOtherReplicasInABatchForEachShard(t *testing.T) {
	here, there := &scale{}, &scale{}
	var bodies []string
	place, pass := to(newMetrics(t, there), &bodies)
	of := func(namespace, more string) string {
		return `{"podName":"` + namespace + `","namespace":"` + namespace + `",` + more + `"metrics":{"queued":1}}`
	}
	one, two, three, late := of("nn", ""), of("mm", ""), of("mmm", ""), of("nnn", `"later":{},`)
	receipt, understood, err := newMetrics(t, here).Of(place).PushBatch([]byte(batch(one, fine, wrong, late, two, three)), access.Caller{}, pass)
	if err != nil || !understood || receipt.Accepted != 5 || len(value(receipt.Refused)) != 1 || (*receipt.Refused)[0].Index != 2 {
		t.Errorf("understood %v, %v: %+v", understood, err, receipt)
	}
	slices.Sort(bodies)
	if want := []string{`2: {"items":[` + one + "," + two + "]}", `3: {"items":[` + late + "," + three + "]}"}; !slices.Equal(bodies, want) {
		t.Errorf("passed on %q, want %q", bodies, want)
	}
	if len(here.got) != 1 || here.got[0].Pod.Name != "p" {
		t.Errorf("taken here: %+v", here.got)
	}
	// What another replica refuses stands at its place in the whole.
	place, _ = to(nil, nil)
	refuses := func(int, []byte) (autoscaler.PodMetricsBatchReceipt, error) {
		return autoscaler.PodMetricsBatchReceipt{Refused: &[]autoscaler.RefusedItem{{Index: 1, Reason: "r"}, {Index: 9, Reason: "s"}}}, nil
	}
	receipt, _, _ = newMetrics(t, here).Of(place).PushBatch([]byte(batch(one, fine, two, wrong)), access.Caller{}, refuses)
	if got := value(receipt.Refused); len(got) != 3 || got[0].Index != 2 || got[0].Reason != "r" || got[1].Index != 3 {
		t.Errorf("refused: %+v", got)
	}
}

func TestPushBatch_AnErrorOfAPartIsThatOfTheWhole(t *testing.T) {
	here := &scale{}
	fails := func(int, []byte) (autoscaler.PodMetricsBatchReceipt, error) {
		return autoscaler.PodMetricsBatchReceipt{}, errors.New("away")
	}
	place := func(namespace string) (int, bool) { return 1, namespace == "n" }
	_, understood, err := newMetrics(t, here).Of(place).PushBatch([]byte(batch(fine, `{"podName":"q","namespace":"m","metrics":{"queued":1}}`)), access.Caller{}, fails)
	if !understood || err == nil || len(here.got) != 1 {
		t.Errorf("understood %v, %v, taken here %d", understood, err, len(here.got))
	}
}

// However a batch is divided, the receipt is that of the whole.
func TestPushBatch_DividedOrNotComesToTheSame(t *testing.T) {
	var items []string
	for i, namespace := range []string{"n", "nn", "n", "mm", "mmm", "nn", "n"} {
		items = append(items, fmt.Sprintf(`{"podName":"p%d","namespace":%q,"metrics":{"queued":%d}}`, i, namespace, i), wrong)
	}
	var bodies []string
	here, there, alone := &scale{}, &scale{}, &scale{}
	place, pass := to(newMetrics(t, there), &bodies)
	got, _, _ := newMetrics(t, here).Of(place).PushBatch([]byte(batch(items...)), access.Caller{}, pass)
	want, _, _ := newMetrics(t, alone).PushBatch([]byte(batch(items...)), access.Caller{}, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-whole +divided):\n%s", diff)
	}
	if here.counted != 3 || len(bodies) != 2 {
		t.Errorf("%v here, and passed on %q", here.counted, bodies)
	}
}

func TestSplit_LeavesToTheContractWhatIsNotWellMadeOutside(t *testing.T) {
	many := strings.Repeat(fine+",", maxItems-1) + fine
	for name, c := range map[string]struct {
		body string
		want int // 0: not understood
	}{
		"one":                    {batch(fine), 1},
		"as many as there may":   {batch(many), maxItems},
		"no collector":           {`{"items":[` + fine + `]}`, 1},
		"of a later version":     {`{"later":true,"items":[{}, 1 ,"x"]}`, 3},
		"one too many":           {batch(many, fine), 0},
		"none":                   {batch(), 0},
		"no items":               {`{"collector":"c"}`, 0},
		"items twice":            {`{"items":[1],"items":[2]}`, 0},
		"items in other letters": {`{"ITEMS":[1]}`, 0},
		"a collector of nothing": {`{"collector":null,"items":[1]}`, 0},
		"no name of a collector": {`{"collector":"","items":[1]}`, 0},
		"no list":                {`{"items":{}}`, 0},
		"an item without end":    {`{"items":[{"podName":"p"]}`, 0},
		"something behind":       {batch(fine) + "x", 0},
	} {
		t.Run(name, func(t *testing.T) {
			items, understood := split([]byte(c.body))
			if understood != (c.want > 0) || understood && len(items) != c.want {
				t.Errorf("understood %v, %d items", understood, len(items))
			}
		})
	}
}

func TestSubmitBatch_TakesWhatTheContractHasLetThrough(t *testing.T) {
	s := &scale{}
	m := newMetrics(t, s)
	receipt, err := m.SubmitBatch([]byte(`{"collector":"\u0063","items":[`+fine+`,`+wrong+`]}`), access.Caller{})
	if err != nil || receipt.Accepted != 1 || len(*receipt.Refused) != 1 {
		t.Errorf("%+v, %v", receipt, err)
	}
	for _, body := range []string{`{"items":[]}`, `{}`, `[`, batch(strings.Repeat(fine+",", maxItems) + fine)} {
		if _, err := m.SubmitBatch([]byte(body), access.Caller{}); err == nil {
			t.Errorf("taken: %.40s", body)
		}
	}
}

// Both ways cut a batch into the same items.
func FuzzSplit_CutsAsTheStandardLibraryDoes(f *testing.F) {
	f.Add([]byte(batch(fine, wrong, nested)))
	f.Add([]byte(`{"items":[ 1,"\u00e9",[{}],{"a":{"b":[]}} ] , "x":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, understood := split(body)
		if !understood {
			return
		}
		here, there := &scale{}, &scale{}
		a, _, _ := newMetrics(t, here).PushBatch(body, access.Caller{}, nil)
		b, err := newMetrics(t, there).SubmitBatch(body, access.Caller{})
		if err != nil || int(a.Accepted)+len(value(a.Refused)) != len(items) {
			t.Fatalf("%d items, %+v, %v", len(items), a, err)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%q (-standard +here):\n%s", body, diff)
		}
	})
}

func BenchmarkPushBatch(b *testing.B) {
	body := []byte(batch(strings.Repeat(wellMade+",", 99) + wellMade))
	m := newMetrics(b, &scale{})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := m.PushBatch(body, access.Caller{}, nil); !ok {
			b.Fatal("not understood")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/item")
}

// A collector is for the pods of its own node, by the node in its token; of others it is told which items are not taken.
func TestPushBatch_ACollectorIsForThePodsOfItsNode(t *testing.T) {
	s := &scale{}
	m := newMetrics(t, s)
	m.node = func(_, pod string) string { return map[string]string{"here": "node-1", "there": "node-2"}[pod] }
	of := func(pod string) string { return `{"podName":"` + pod + `","namespace":"m","metrics":{"cpuUsage":1}}` }
	body := []byte(batch(of("here"), of("there"), of("unknown")))
	by := access.Caller{Kind: access.Service, Collector: true, Pod: "c", Node: "node-1"}
	receipt, understood, err := m.PushBatch(body, by, nil)
	if !understood || err != nil || receipt.Accepted != 2 || receipt.Refused == nil || len(*receipt.Refused) != 1 {
		t.Fatalf("%+v %v %v", receipt, understood, err)
	}
	if refused := (*receipt.Refused)[0]; refused.Index != 1 || !strings.Contains(refused.Reason, "on the node node-1") {
		t.Errorf("%+v", refused)
	}
	if m.Push([]byte(of("there")), by) || !m.Push([]byte(of("here")), by) {
		t.Error("one by one it is otherwise")
	}
	for name, by := range map[string]access.Caller{
		"a token that names no node": {Kind: access.Service, Collector: true, Pod: "c"}, "nobody, where that is let in": {},
	} {
		if receipt, _, _ := m.PushBatch(body, by, nil); receipt.Accepted != 3 {
			t.Errorf("%s: %+v", name, receipt)
		}
	}
}
