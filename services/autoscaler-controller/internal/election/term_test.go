package election

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// slow is work that takes a while to end after it was told to.
func slow(began, ended *time.Time, takes time.Duration) func(context.Context) {
	return func(ctx context.Context) {
		*began = time.Now()
		<-ctx.Done()
		time.Sleep(takes)
		*ended = time.Now()
	}
}

func TestTerms_OneBeginsWhenTheWorkOfTheOneBeforeHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended [2]time.Time
		terms := newTerms(leading)
		first, lose := context.WithCancel(t.Context())
		go terms.serve(first, slow(&began[0], &ended[0], 3*time.Second))
		synctest.Wait()
		lose()
		go terms.serve(t.Context(), slow(&began[1], &ended[1], 0))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if ended[0].IsZero() || began[1].Before(ended[0]) {
			t.Errorf("the second began at %v, the first ended at %v", began[1], ended[0])
		}
		terms.close()
		if ended[1].IsZero() {
			t.Error("close returned before the work had ended")
		}
		terms.serve(t.Context(), func(context.Context) { t.Error("a term began after the close") })
		terms.end() // there is none: it returns at once
	})
}

func TestTerms_WorkEndsWithinTheLeaseWhenNobodyRenewsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended time.Time
		terms := newTerms(leading)
		go terms.serve(t.Context(), slow(&began, &ended, 0))
		synctest.Wait()
		for range 5 {
			time.Sleep(leading.retry)
			terms.renewed(time.Now())
		}
		renewed := time.Now()
		time.Sleep(leading.lease)
		synctest.Wait()
		if took := ended.Sub(renewed); ended.IsZero() || took <= leading.renew || took >= leading.lease {
			t.Errorf("it ended %v after the last renewal, want between %v and %v", took, leading.renew, leading.lease)
		}
		terms.renewed(time.Now()) // comes late, and changes nothing
	})
}

// kept is a client of one Lease that takes every update.
type kept struct {
	typedcoordinationv1.LeaseInterface
	updates int
}

func (s *kept) Update(_ context.Context, l *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	s.updates++
	return l, nil
}

func TestLease_IsGivenBackAfterTheWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended time.Time
		terms, back := newTerms(leading), &kept{}
		l := lease{back, &leases{self: "us", balancers: func() ([]string, bool) { return nil, false }, terms: terms}}
		go terms.serve(t.Context(), slow(&began, &ended, 2*time.Second))
		synctest.Wait()
		held, free := "us", ""
		if _, err := l.Update(t.Context(), &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &held}}, metav1.UpdateOptions{}); err != nil || !ended.IsZero() {
			t.Fatalf("a renewal ended the term: %v", err)
		}
		if _, err := l.Update(t.Context(), &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &free}}, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if ended.IsZero() || back.updates != 2 {
			t.Errorf("given back before the work had ended (%v), or not at all (%d updates)", ended, back.updates)
		}
	})
}

func TestTerms_WorkEndsByTheTimeOfTheWriteNotOfItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended time.Time
		terms := newTerms(leading)
		asked := time.Now()
		time.Sleep(time.Second) // the API server answers late: others saw the Lease sooner
		terms.renewed(asked)
		go terms.serve(t.Context(), slow(&began, &ended, 0))
		time.Sleep(leading.lease)
		synctest.Wait()
		if took := ended.Sub(asked); ended.IsZero() || took != leading.work {
			t.Errorf("it ended %v after the Lease was asked for, want %v", took, leading.work)
		}
	})
}

func TestLease_IsWrittenOnceASecondThoughItIsRenewedMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended time.Time
		terms, back := newTerms(leading), &kept{}
		l := lease{back, &leases{self: "us", balancers: func() ([]string, bool) { return nil, true }, terms: terms}}
		held := coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: new("us")}}
		renew := func() {
			if _, err := l.Update(t.Context(), held.DeepCopy(), metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		renew() // takes it
		go terms.serve(t.Context(), slow(&began, &ended, 0))
		synctest.Wait()
		for range 40 {
			time.Sleep(leading.retry)
			renew()
		}
		if back.updates != 11 || !ended.IsZero() {
			t.Errorf("written %d times in ten seconds, ended %v", back.updates, ended)
		}
		terms.close()
	})
}
