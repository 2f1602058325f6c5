package ingest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// wellMade is what a sidecar sends.
const wellMade = `{"podName":"web-7d4b9c-x2x4k","namespace":"default","ageSeconds":0.25,"windowSeconds":5,"validSeconds":25,` +
	`"metrics":{"cpuUsage":412.5,"memoryUsage":11.2,"responseTime":38.4,"requestRate":12.5,"inFlight":3,"queued":0,"cacheUsage":0.25}}`

// documents are pushes that are read, and that are left to the contract, which may take them.
var documents = map[string]struct {
	body       string
	understood bool
}{
	"as a sidecar sends it":               {wellMade, true},
	"the least":                           {`{"podName":"p","namespace":"n","metrics":{}}`, true},
	"space everywhere":                    {" {\n\"podName\" : \"p\" ,\t\"namespace\":\"n\",\"metrics\": { \"queued\" : 1e2 } } \r\n", true},
	"at the bounds":                       {`{"podName":"p","namespace":"n","ageSeconds":86400,"windowSeconds":0,"validSeconds":120,"metrics":{"cacheUsage":1,"gpuUsage":100,"gpuMemoryUsage":1e12,"gpuPower":1e6}}`, true},
	"minus nothing":                       {`{"podName":"p","namespace":"n","metrics":{"cpuUsage":-0}}`, true},
	"the longest names":                   {`{"podName":"` + strings.Repeat("a", 253) + `","namespace":"` + strings.Repeat("b", 63) + `","metrics":{}}`, true},
	"fields of a later version":           {`{"podName":"p","namespace":"n","later":1.5,"metrics":{"also":"x","and":null,"more":true}}`, true},
	"an object of a later version":        {`{"podName":"p","namespace":"n","later":{"x":[1]},"metrics":{}}`, false},
	"a number beyond all of a later one":  {`{"podName":"p","namespace":"n","later":1e999,"metrics":{}}`, false},
	"a name in other letters":             {`{"podName":"p","PODNAME":"q","namespace":"n","metrics":{}}`, false},
	"a field twice":                       {`{"podName":"p","podName":"q","namespace":"n","metrics":{}}`, false},
	"a value twice":                       {`{"podName":"p","namespace":"n","metrics":{"queued":1,"queued":2}}`, false},
	"an escape":                           {`{"podName":"\u0070","namespace":"n","metrics":{}}`, false},
	"an escape in a field's name":         {`{"pod\u004eame":"p","namespace":"n","metrics":{}}`, false},
	"no pod":                              {`{"namespace":"n","metrics":{}}`, false},
	"no namespace":                        {`{"podName":"p","metrics":{}}`, false},
	"no metrics":                          {`{"podName":"p","namespace":"n"}`, false},
	"metrics of nothing":                  {`{"podName":"p","namespace":"n","metrics":null}`, false},
	"a value of nothing":                  {`{"podName":"p","namespace":"n","metrics":{"queued":null}}`, false},
	"a text for a number":                 {`{"podName":"p","namespace":"n","metrics":{"queued":"1"}}`, false},
	"below the bound":                     {`{"podName":"p","namespace":"n","metrics":{"queued":-1}}`, false},
	"above the bound":                     {`{"podName":"p","namespace":"n","metrics":{"cacheUsage":1.0001}}`, false},
	"beyond all numbers":                  {`{"podName":"p","namespace":"n","metrics":{"queued":1e999}}`, false},
	"a time of nothing":                   {`{"podName":"p","namespace":"n","validSeconds":0,"metrics":{}}`, false},
	"too long a time":                     {`{"podName":"p","namespace":"n","validSeconds":121,"metrics":{}}`, false},
	"an upper-case name":                  {`{"podName":"P","namespace":"n","metrics":{}}`, false},
	"a name that ends in a dash":          {`{"podName":"p-","namespace":"n","metrics":{}}`, false},
	"a namespace with a dot":              {`{"podName":"p","namespace":"n.n","metrics":{}}`, false},
	"too long a name":                     {`{"podName":"` + strings.Repeat("a", 254) + `","namespace":"n","metrics":{}}`, false},
	"too long a namespace":                {`{"podName":"p","namespace":"` + strings.Repeat("a", 64) + `","metrics":{}}`, false},
	"something behind":                    {`{"podName":"p","namespace":"n","metrics":{}} {}`, false},
	"no end":                              {`{"podName":"p","namespace":"n","metrics":{}`, false},
	"nothing":                             {``, false},
	"a list":                              {`[]`, false},
	"a number with a zero in front":       {`{"podName":"p","namespace":"n","metrics":{"queued":01}}`, false},
	"a comma too many":                    {`{"podName":"p","namespace":"n","metrics":{},}`, false},
	"bytes that are no text in a text":    {"{\"podName\":\"p\",\"namespace\":\"n\",\"later\":\"\xff\",\"metrics\":{}}", false},
	"half a surrogate of a later version": {`{"podName":"p","namespace":"n","later":"\ud800","metrics":{}}`, false},
}

func TestRead_ReadsWhatIsWellMadeAndLeavesTheRest(t *testing.T) {
	for name, c := range documents {
		t.Run(name, func(t *testing.T) {
			if _, understood := read([]byte(c.body)); understood != c.understood {
				t.Errorf("understood: %v", understood)
			}
			agree(t, []byte(c.body))
		})
	}
}

var pushed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// agree holds that what is read here is taken by the contract, and means the same.
func agree(t *testing.T, body []byte) {
	t.Helper()
	p, understood := read(body)
	if !understood {
		return
	}
	judge, err := newJudge()
	if err != nil {
		t.Fatal(err)
	}
	item, refusal := judge.take(body)
	if refusal != nil {
		t.Fatalf("the contract refuses %q: %v", body, refusal)
	}
	if diff := cmp.Diff(measurement(item, pushed), p.measurement(pushed), cmpopts.IgnoreUnexported(fleet.Measurement{})); diff != "" {
		t.Errorf("%q means another thing (-contract +here):\n%s", body, diff)
	}
}

func FuzzRead_TakesNothingThatTheContractRefuses(f *testing.F) {
	for _, c := range documents {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}

// What the generated client writes is never left to the slower way.
func FuzzRead_UnderstandsWhatTheGeneratedTypesWrite(f *testing.F) {
	f.Add("web-x", "default", 0.5, 412.5, 25.0, uint16(0xffff))
	f.Add("a.b-c", "n", 86400.0, 1e-300, 1.0, uint16(1))
	f.Fuzz(func(t *testing.T, pod, namespace string, age, v, valid float64, given uint16) {
		in := common.PodMetrics{PodName: pod, Namespace: namespace}
		put := func(bit int, to **float64, v float64) {
			if given&(1<<bit) != 0 {
				*to = &v
			}
		}
		put(0, &in.AgeSeconds, age)
		put(1, &in.ValidSeconds, valid)
		put(2, &in.WindowSeconds, age)
		put(3, &in.Metrics.CpuUsage, v)
		put(4, &in.Metrics.InFlight, v)
		put(5, &in.Metrics.CacheUsage, v)
		put(6, &in.Metrics.TimeToFirstToken, v)
		body, err := json.Marshal(in)
		if err != nil {
			t.Skip() // no number
		}
		judge, err := newJudge()
		if err != nil {
			t.Fatal(err)
		}
		_, refusal := judge.take(body)
		if _, understood := read(body); understood != (refusal == nil) {
			t.Errorf("understood: %v, the contract: %v: %s", understood, refusal, body)
		}
		agree(t, body)
	})
}

func TestGauges_AreThoseOfTheContractWithItsBounds(t *testing.T) {
	spec, err := common.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	here := map[string]string{}
	for _, g := range gauges {
		here[string(g.gauge)] = fmt.Sprint(0.0, g.most)
	}
	there := map[string]string{}
	for name, s := range spec.Components.Schemas["Measurements"].Value.Properties {
		there[name] = fmt.Sprint(*s.Value.Min, *s.Value.Max)
	}
	if diff := cmp.Diff(there, here); diff != "" {
		t.Errorf("(-contract +here):\n%s", diff)
	}
	metrics := spec.Components.Schemas["PodMetrics"].Value
	for name, want := range map[string][2]float64{"ageSeconds": {0, maxAge}, "windowSeconds": {0, maxWindow}, "validSeconds": {minValid, maxValid}} {
		if p := metrics.Properties[name].Value; *p.Min != want[0] || *p.Max != want[1] {
			t.Errorf("%s: from %v to %v", name, *p.Min, *p.Max)
		}
	}
	if len(metrics.Properties) != len(fields) || len(metrics.Required) != 3 || !slices.Contains(metrics.Required, "metrics") {
		t.Errorf("the contract has other fields: %d, %v", len(metrics.Properties), metrics.Required)
	}
	if *spec.Components.Schemas["Name"].Value.MaxLength != maxName || *spec.Components.Schemas["Namespace"].Value.MaxLength != maxNamespace {
		t.Error("names may be of another length")
	}
	if valid := metrics.Properties["validSeconds"].Value.Default; valid != fleet.SidecarFreshFor.Seconds() {
		t.Errorf("by default a word counts for %v s in the contract, for %v here", valid, fleet.SidecarFreshFor)
	}
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := read([]byte(wellMade)); !ok {
			b.Fatal("not understood")
		}
	}
}

func BenchmarkReadByTheContract(b *testing.B) {
	judge, err := newJudge()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := judge.take([]byte(wellMade)); refusal != nil {
			b.Fatal(refusal)
		}
	}
}

func TestPush_WhatIsOfAnotherReplicaIsLeftToTheLongWay(t *testing.T) {
	s := &scale{}
	m, err := NewMetrics(s, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m = m.Of(func(namespace string) (int, bool) { return 0, namespace == "ours" })
	for namespace, want := range map[string]bool{"ours": true, "theirs": false} {
		s.got = nil
		body := []byte(`{"podName":"p","namespace":"` + namespace + `","metrics":{"cpuUsage":1}}`)
		if understood := m.Push(body, access.Caller{}); understood != want || (len(s.got) == 1) != want {
			t.Errorf("%s: understood %v, took %v", namespace, understood, s.got)
		}
	}
}
