package election

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPatience_IsToldTheNextLeaderWithTheLoadBalancersItIsSaidOf(t *testing.T) {
	us := "us"
	told := &leases{
		self: us, terms: newTerms(leading),
		balancers: func() ([]string, bool) { return []string{"a", "b"}, true },
		patience:  func() time.Duration { return 15 * time.Second },
	}
	told.found.Store(&found{holder: us})
	renewed := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &us}}
	renewed, err := lease{&kept{}, told}.Update(t.Context(), renewed, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next := &Elector{leases: &leases{}}
	next.leases.note(renewed, nil)
	if got := next.Patience(); got != 15*time.Second {
		t.Errorf("the next leader reads %v in %v", got, renewed.Annotations)
	}
}

func TestPatience_IsNotKnownWhenNobodySaidItOfThese(t *testing.T) {
	names := `["a","b"]`
	for name, said := range map[string]string{
		"nothing":                           "",
		"of others":                         `15 ["c"]`,
		"of none":                           "15",
		"no number":                         `soon ["a","b"]`,
		"negative":                          `-15 ["a","b"]`,
		"longer than anybody":               `86400 ["a","b"]`,
		"of these, by another way of words": `15 ["a", "b"]`,
	} {
		e := &Elector{leases: &leases{}}
		if got := e.Patience(); got != 0 {
			t.Errorf("before the Lease was seen: %v", got)
		}
		e.leases.note(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
			Annotations: map[string]string{balancersAnnotation: names, patienceAnnotation: said},
		}}, nil)
		if got := e.Patience(); got != 0 {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
