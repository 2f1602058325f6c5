package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// However applications come and go, the namespaces are those of the keys.
func TestNamespaces_AreThoseOfTheKeys(t *testing.T) {
	came, before := make(chan struct{}, 1), 0
	f, random := New("e"), rand.New(rand.NewPCG(1, 2))
	if got := f.Namespaces(); len(got) != 0 {
		t.Errorf("nothing is in %v", got)
	}
	f.NotifyNamespaces(came)
	for step := range 2000 {
		k := Key{fmt.Sprintf("ns-%d", random.IntN(6)), fmt.Sprintf("app-%d", random.IntN(4))}
		if random.IntN(2) == 0 {
			f.Forget(k) // also one that is not there
		} else {
			o := seen(1)
			o.Key = k
			f.Observe(o, now) // also one that is
		}
		var want []string
		for _, k := range f.Keys() {
			want = append(want, k.Namespace)
		}
		want = slices.Compact(want) // the keys are in order
		if got := f.Namespaces(); !slices.Equal(got, want) {
			t.Fatalf("step %d: %v, want %v", step, got, want)
		}
		if told := len(came) == 1; told != (len(want) > before) {
			t.Fatalf("step %d: there were %d namespaces and are %v; told of another one: %v", step, before, want, told)
		}
		before = len(want)
		if random.IntN(2) == 0 { // who does not listen keeps nobody waiting
			f.NotifyNamespaces(nil)
			f.NotifyNamespaces(came)
		}
		select {
		case <-came:
		default:
		}
	}
}
