//go:build integration

package election

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

func noBalancers() ([]string, bool) { return nil, true }

func TestIntegration_TheNextLeaderAwaitsTheBalancersOfTheLastOne(t *testing.T) {
	c, ns := kubetest.Connect(t)
	log := slog.New(slog.DiscardHandler)
	type term struct {
		name      string
		balancers []string
	}
	terms := make(chan term, 10)
	run := func(ctx context.Context, name string, balancers func() ([]string, bool)) *Elector {
		e := New(c, log, Options{Namespace: ns, Name: name, Balancers: balancers})
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
			l, err := c.Typed.CoordinationV1().Leases(ns).Get(t.Context(), leaseName, metav1.GetOptions{})
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
	run(t.Context(), "c", noBalancers)
	lose2()
	if got := next(); got.name != "c" || !slices.Equal(got.balancers, []string{"lb-1", "lb,2"}) {
		t.Errorf("the third term is %+v", got)
	}
	written("[]")
}

func TestIntegration_OneLeads(t *testing.T) {
	c, ns := kubetest.Connect(t)
	log := slog.New(slog.DiscardHandler)
	leads := make(chan string, 10)
	run := func(ctx context.Context, name string) *Elector {
		e := New(c, log, Options{Namespace: ns, Name: name, Address: name + ":8080", Balancers: noBalancers})
		go func() {
			_ = e.Run(ctx, func(term context.Context) { leads <- name; <-term.Done() })
		}()
		return e
	}
	first, lose := context.WithCancel(t.Context())
	run(first, "a")
	if got := <-leads; got != "a" {
		t.Fatalf("%s leads", got)
	}
	b := run(t.Context(), "b")
	deadline := time.After(testwait.Limit())
	for {
		address, changed := b.Leader()
		if address == "a:8080" {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the follower thinks that %q leads", address)
		}
	}
	lose() // gives the Lease back
	if got := testwait.Receive(t, "another one leads", leads); got != "b" {
		t.Errorf("%s leads", got)
	}
	if address, _ := b.Leader(); address != "" {
		t.Errorf("the leader relays to %q", address)
	}
}
