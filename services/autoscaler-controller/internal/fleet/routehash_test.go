package fleet

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// fullRoute has something in every field.
func fullRoute() *Route {
	n := 1.5
	return &Route{
		Key: Key{"default", "fib"}, Autoscaler: "fib", State: Awake, WakeUpTimeout: time.Minute, ExpectedStart: time.Second, AsleepUntil: now,
		Address: Address{
			Prefix: "/fib", Hosts: []string{"a"}, Service: "fib:80", Algorithm: "Random", Concurrency: 1, Hash: HashOn{Header: "X"},
			AlsoAt: []Place{{Prefix: "/b", Hosts: []string{"b"}, Service: "fib:81"}},
		},
		Waiting:   Waiting{StartTimeout: 1, BusyTimeout: 2, While: "Hold"},
		Uncounted: []UncountedRequest{{Paths: []string{"/healthz"}, Methods: []string{"GET"}, UserAgents: []string{"x"}, StatusWhileAsleep: 200}},
		Blocked:   Blocked{Reason: "a", Message: "b", Since: now},
		Endpoints: []Endpoint{{
			Pod: "a", Address: "1:1", AlsoAt: []string{"1:2"}, Ready: true, DrainsUntil: now, Load: &Load{Running: &n, Waiting: &n, CacheUsage: &n, At: now},
			Probes: []Probe{{Port: 1, Scheme: "HTTP", Host: "h", Path: "/", Headers: []Header{{"n", "v"}}, Started: now, Delay: 1, Timeout: 1, Successes: 1, Period: 1}},
		}},
	}
}

// leftOut are the fields that two controllers may see in different ways.
var leftOut = map[string]bool{
	"Route.ExpectedStart": true, "Route.Blocked.Since": true,
	"Route.Endpoints[0].Load.At": true, "Route.Endpoints[0].Load.Running": true, "Route.Endpoints[0].Load.Waiting": true, "Route.Endpoints[0].Load.CacheUsage": true,
}

// eachField alters every field of a value, one at a time.
func eachField(v reflect.Value, name string, check func(name string)) {
	alter := func(other any) {
		before := reflect.ValueOf(v.Interface())
		v.Set(reflect.ValueOf(other).Convert(v.Type()))
		check(name)
		v.Set(before)
	}
	if moment, ok := reflect.TypeAssert[time.Time](v); ok {
		alter(moment.Add(1))
		alter(time.Time{})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i).Name; field != "Hash" || v.Field(i).Kind() != reflect.Uint64 { // it is the sum of the others
				eachField(v.Field(i), name+"."+field, check)
			}
		}
	case reflect.Slice:
		before := v.Interface()
		for i := range v.Len() {
			eachField(v.Index(i), fmt.Sprintf("%s[%d]", name, i), check)
		}
		v.Set(reflect.AppendSlice(v.Slice3(0, v.Len(), v.Len()), v))
		check(name)
		v.Set(reflect.Zero(v.Type()))
		check(name)
		v.Set(reflect.ValueOf(before))
	case reflect.Pointer:
		eachField(v.Elem(), name, check)
	case reflect.String:
		alter(v.String() + "x")
	case reflect.Bool:
		alter(!v.Bool())
	case reflect.Float64:
		alter(v.Float() + 1)
	default:
		alter(v.Int() + 1)
	}
}

func TestRoute_EveryFieldMakesAnotherRouteAndAnotherHash(t *testing.T) {
	altered, seen := fullRoute(), map[string]bool{}
	eachField(reflect.ValueOf(altered).Elem(), "Route", func(name string) {
		seen[name] = true
		if altered.equal(fullRoute()) {
			t.Errorf("%s: another one is taken for the same", name)
		}
		if same := altered.hash() == fullRoute().hash(); same != leftOut[name] {
			t.Errorf("%s: the hash is the same: %v", name, same)
		}
	})
	if !altered.equal(fullRoute()) || altered.hash() != fullRoute().hash() {
		t.Error("two that say the same are not the same")
	}
	for name := range leftOut {
		if !seen[name] {
			t.Errorf("there is no field %s", name)
		}
	}
	altered.Endpoints[0].Load = nil
	if altered.equal(fullRoute()) || altered.hash() != fullRoute().hash() {
		t.Error("a load that is gone is no news, or another hash")
	}
}

func TestRoute_TheHashSaysWhereATextEnds(t *testing.T) {
	a, b := fullRoute(), fullRoute()
	a.Address.Hosts, b.Address.Hosts = []string{"a", "b"}, []string{"ab"}
	if a.hash() == b.hash() {
		t.Error("two hosts are one")
	}
	b.Address.Hosts = []string{"b", "a"}
	if a.hash() == b.hash() {
		t.Error("their order does not count")
	}
}

func BenchmarkTableSet_OneOfTenThousand(b *testing.B) {
	table := newTable("e")
	routes := make([][2]*Route, 10000)
	for i := range routes {
		for k := range routes[i] {
			r := fullRoute()
			r.Deployment, r.Endpoints[0].Ready = fmt.Sprint("a", i), k == 1
			routes[i][k] = r
		}
		table.set(routes[i][0])
	}
	for i := 0; b.Loop(); i++ {
		r := routes[i%len(routes)]
		r[0], r[1] = r[1], r[0]
		table.set(r[0])
	}
}
