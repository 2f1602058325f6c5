//go:build integration

package cluster

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

func hearsNobody() ([]string, bool) { return nil, true }

func TestIntegration_TheNextLeaderAwaitsTheBalancersOfTheLastOne(t *testing.T) {
	c, ns := connect(t)
	log := slog.New(slog.DiscardHandler)
	type term struct {
		name      string
		balancers []string
	}
	terms := make(chan term, 10)
	run := func(ctx context.Context, name string, balancers func() ([]string, bool)) *Elector {
		e := NewElector(c, log, ElectorOptions{Namespace: ns, Name: name, Balancers: balancers})
		go func() {
			_ = e.Run(ctx, func(ctx context.Context) { terms <- term{name, e.Awaited()}; <-ctx.Done() })
		}()
		return e
	}
	next := func() term {
		t.Helper()
		return testwait.Receive(t, "somebody leads", terms)
	}
	written := func(want string) {
		t.Helper()
		testwait.Until(t, "the Lease names "+want, func() bool {
			l, err := c.kube.CoordinationV1().Leases(ns).Get(t.Context(), leaseName, metav1.GetOptions{})
			return err == nil && l.Annotations[balancersAnnotation] == want
		})
	}
	first, lose := context.WithCancel(t.Context())
	run(first, "a", func() ([]string, bool) { return []string{"lb-1", "lb,2"}, true })
	if got := next(); got.name != "a" || got.balancers != nil {
		t.Fatalf("the first term is %+v", got)
	}
	written(`["lb-1","lb,2"]`)

	second, lose2 := context.WithCancel(t.Context())
	// b leads without having begun to hear: what it took over stays written, for whoever comes next.
	b := run(second, "b", func() ([]string, bool) { return []string{"nobody"}, false })
	lose() // gives the Lease back
	if got := next(); got.name != "b" || !slices.Equal(got.balancers, []string{"lb-1", "lb,2"}) {
		t.Errorf("the second term is %+v", got)
	}
	if got := b.Awaited(); !slices.Equal(got, []string{"lb-1", "lb,2"}) {
		t.Errorf("b has lost them: %v", got)
	}
	run(t.Context(), "c", hearsNobody)
	lose2()
	if got := next(); got.name != "c" || !slices.Equal(got.balancers, []string{"lb-1", "lb,2"}) {
		t.Errorf("the third term is %+v", got)
	}
	written("[]")
}
