package advice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func pods(labels map[string]string, gpu string, ports ...Named) *Pods {
	return &Pods{Labels: labels, GPU: gpu, Ports: ports}
}

var (
	shop = map[string]string{"app": "shop", "tier": "front"}
	http = Named{5001, "http"}
	good = &Leads{Selector: map[string]string{"app": "shop"}, Ports: []ServicePort{{Named{80, "web"}, Port{Name: "http"}}, {Named{81, "raw"}, Port{Number: 5001}}}}
)

func TestWarnings_AreOfWhatDoesNotFit(t *testing.T) {
	number, name := func(n int32) Port { return Port{Number: n} }, func(s string) Port { return Port{Name: s} }
	for what, c := range map[string]struct {
		of   Object
		want []string
	}{
		"nothing where all fits": {Object{Targets: []Target{
			{"shop", "shop", number(80), pods(shop, "", http), good},
			{"shop", "shop", name("web"), pods(shop, "", http), good},
			{"shop", "shop", number(81), pods(shop, "", http), good},
			{"shop", "", number(5001), pods(shop, "", http), nil},
			{"shop", "", name("http"), pods(shop, "", http), nil},
		}}, nil},
		"not of a Deployment that is not there yet": {Object{Targets: []Target{{"shop", "", number(80), nil, nil}}}, nil},
		"not of a Service that is not there yet":    {Object{Targets: []Target{{"shop", "front", number(80), pods(shop, "", http), nil}}}, nil},
		"a Service of other pods": {
			Object{Targets: []Target{{"shop", "front", number(80), pods(shop, "", http), &Leads{Selector: map[string]string{"tier": "back", "app": "till"}, Ports: good.Ports}}}},
			[]string{"spec.targetDeployments[0].service: the Service front does not select the pods of the Deployment shop: they have no label app=till"},
		},
		"a label less": {
			Object{Targets: []Target{{"shop", "front", number(80), pods(shop, "", http), &Leads{Selector: map[string]string{"app": "shop", "zone": "a"}, Ports: good.Ports}}}},
			[]string{"spec.targetDeployments[0].service: the Service front does not select the pods of the Deployment shop: they have no label zone=a"},
		},
		"not where labels are not known": {Object{Targets: []Target{{"shop", "shop", number(80), pods(nil, "", http), good}}}, nil},
		"not of a Service without a selector": {
			Object{Targets: []Target{{"shop", "shop", number(81), pods(shop, "", http), &Leads{Ports: good.Ports}}}}, nil,
		},
		"a port that the Service has not": {
			Object{Targets: []Target{{"shop", "shop", number(8080), pods(shop, "", http), good}, {"shop", "shop", name("grpc"), pods(shop, "", http), good}}},
			[]string{
				"spec.targetDeployments[0].port: the Service shop has no port 8080 (it has 80 web, 81 raw)",
				"spec.targetDeployments[1].port: the Service shop has no port grpc (it has 80 web, 81 raw)",
			},
		},
		"a Service that leads to a port that no container has": {
			Object{Targets: []Target{{"shop", "shop", number(80), pods(shop, "", Named{8000, "main"}, Named{9000, ""}), good}, {"shop", "shop", number(81), pods(shop, "", Named{8000, "main"}), good}}},
			[]string{
				"spec.targetDeployments[0].port: no container of the Deployment shop has the port http, to which the Service shop leads (they have 8000 main, 9000)",
				"spec.targetDeployments[1].port: no container of the Deployment shop has the port 5001, to which the Service shop leads (they have 8000 main)",
			},
		},
		"a port that no container has": {
			Object{Targets: []Target{{"shop", "", number(80), pods(shop, "", http), nil}, {"shop", "", name("web"), pods(shop, ""), nil}}},
			[]string{
				"spec.targetDeployments[0].port: no container of the Deployment shop has the port 80 (they have 5001 http)",
				"spec.targetDeployments[1].port: no container of the Deployment shop has the port web (they have none)",
			},
		},
		"not of a number where containers name none": {Object{Targets: []Target{{"shop", "", number(80), pods(shop, ""), nil}, {"shop", "shop", number(81), pods(shop, ""), good}}}, nil},
		"a GPU without a limit of requests": {
			Object{Targets: []Target{{"shop", "", number(5001), pods(shop, "nvidia.com/gpu", http), nil}, {"shop", "", name("http"), pods(shop, "nvidia.com/gpu", http), nil}}},
			[]string{"spec.containerConcurrency: pods of the Deployment shop have a limit of nvidia.com/gpu, and none for the requests that one pod works on at a time"},
		},
		"not of a GPU with one": {Object{Concurrency: 1, Targets: []Target{{"shop", "", number(5001), pods(shop, "nvidia.com/gpu", http), nil}}}, nil},
		"what it would not have": {
			Object{Refused: []string{"shop: apiPrefix / overlaps"}, Targets: []Target{{"shop", "", number(5001), pods(shop, "", http), nil}}},
			[]string{"shop: apiPrefix / overlaps"},
		},
		"not of both": {Object{Targets: []Target{{"shop", "front", name("x"), nil, nil}}}, nil},
		"the Service's port also where the Deployment is not there": {
			Object{Targets: []Target{{"shop", "shop", name("x"), nil, good}}},
			[]string{"spec.targetDeployments[0].port: the Service shop has no port x (it has 80 web, 81 raw)"},
		},
	} {
		if got := Warnings(c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestWarnings_AreBounded(t *testing.T) {
	var o Object
	for i := range 100 {
		o.Refused = append(o.Refused, fmt.Sprint(i, strings.Repeat("ü", 200)))
	}
	got := Warnings(o)
	if len(got) != most || got[most-1] != "and 93 more" {
		t.Errorf("%d, the last of them %q", len(got), got[len(got)-1])
	}
	for _, text := range got {
		if len(text) > longest || !utf8.ValidString(text) {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	}
}

// Nothing that somebody can write makes it fail, say more than it may or say the same twice.
func FuzzWarnings(f *testing.F) {
	f.Add("shop", "shop", "app", "shop", "http", int32(80), int32(5001), "nvidia.com/gpu")
	f.Add("", "", "", "", "", int32(0), int32(-1), "")
	f.Fuzz(func(t *testing.T, deployment, service, key, value, name string, number, other int32, gpu string) {
		o := Object{Refused: []string{value, value}, Targets: []Target{
			{deployment, service, Port{number, name}, pods(map[string]string{key: value}, gpu, Named{other, key}), &Leads{map[string]string{key: name}, []ServicePort{{Named{number, key}, Port{other, value}}}}},
			{deployment, service, Port{other, ""}, nil, &Leads{}},
		}}
		got := Warnings(o)
		for i, text := range got {
			if len(text) > longest || slices.Contains(got[:i], text) {
				t.Errorf("%q", got)
			}
		}
		if !slices.Equal(got, Warnings(o)) {
			t.Error("it says something else the second time")
		}
	})
}
