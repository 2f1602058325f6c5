package control

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestByUrgency_UrgentOnesGoAheadAlsoWhenTheyBecomeSo(t *testing.T) {
	urgent := map[string]bool{"u": true}
	q := newByUrgency(func(k string) bool { return urgent[k] })
	for _, k := range []string{"a", "b", "u", "c"} {
		q.Push(k)
	}
	urgent["c"] = true
	q.Touch("c")
	q.Touch("c")
	q.Touch("a")
	q.Touch("not in it")
	got := ""
	for q.Len() > 0 {
		k := q.Pop()
		got += k
		if k == "c" && urgent["c"] {
			delete(urgent, "c")
			q.Push("c")
		}
	}
	if got != "ucabc" {
		t.Errorf("in the order %s", got)
	}
}

// Whatever is pushed comes out once, and nothing else does.
func TestByUrgency_LosesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	in := map[string]bool{}
	q := newByUrgency(func(string) bool { return random.IntN(3) == 0 })
	for range 100_000 {
		k := fmt.Sprint(random.IntN(50))
		switch {
		case random.IntN(2) == 0 && len(in) > 0:
			if k := q.Pop(); !in[k] {
				t.Fatalf("%s came out twice", k)
			} else {
				delete(in, k)
			}
		case in[k]:
			q.Touch(k)
		default:
			in[k] = true
			q.Push(k)
		}
		if q.Len() != len(in) {
			t.Fatalf("%d are in it, want %d", q.Len(), len(in))
		}
	}
	if len(q.first)+len(q.rest) > 200 {
		t.Errorf("%d names are kept", len(q.first)+len(q.rest))
	}
}
