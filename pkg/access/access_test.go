package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// controller answers as a test says, and counts.
type controller struct {
	mu     sync.Mutex
	asked  []Question
	answer func(q Question) (Answer, error)
}

func (c *controller) ReviewAccess(_ context.Context, q Question) (Answer, error) {
	c.mu.Lock()
	c.asked = append(c.asked, q)
	c.mu.Unlock()
	return c.answer(q)
}

func (c *controller) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

// inSome is somebody who may in namespaces with an even number.
func inSome(q Question) (Answer, error) {
	a := Answer{Authenticated: true, User: q.Token}
	for _, n := range q.Namespaces {
		if strings.HasSuffix(n, "0") || strings.HasSuffix(n, "2") {
			a.Namespaces = append(a.Namespaces, n)
		}
	}
	return a, nil
}

func reviewer(t *testing.T, answer func(Question) (Answer, error)) (*controller, *Reviewer, func(Result) int) {
	t.Helper()
	c := &controller{answer: answer}
	var mu sync.Mutex
	results := map[Result]int{}
	r, err := NewReviewer(c, func(result Result) {
		mu.Lock()
		defer mu.Unlock()
		results[result]++
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, r, func(result Result) int {
		mu.Lock()
		defer mu.Unlock()
		return results[result]
	}
}

func question(token string, namespaces ...string) Question {
	return Question{Token: token, Verb: "list", Resource: "customautoscalers/state", Namespaces: namespaces}
}

func TestReview_AnAnswerCountsForTenSeconds(t *testing.T) {
	for _, good := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, r, results := reviewer(t, func(Question) (Answer, error) { return Answer{Authenticated: good}, nil })
			for _, step := range []struct {
				after time.Duration
				asked int
			}{{0, 1}, {counts - 1, 1}, {1, 2}, {time.Second, 2}} {
				time.Sleep(step.after)
				if a, err := r.Review(t.Context(), question("jane")); err != nil || a.Authenticated != good || c.count() != step.asked {
					t.Errorf("%+v: %+v %v, asked %d times", step, a, err, c.count())
				}
			}
			if results(Asked) != 2 || results(Known) != 2 {
				t.Errorf("%d asked, %d known", results(Asked), results(Known))
			}
		})
	}
}

func TestReview_EachQuestionHasItsOwnAnswer(t *testing.T) {
	c, r, _ := reviewer(t, inSome)
	all := []Question{
		question("a"), question("b"), question("a", "n0"), question("a", "n0", "n1"), question("a", "n0n1"),
		{Token: "a", Verb: "get", Resource: "customautoscalers/state"}, {Token: "a", Verb: "list", Resource: "customautoscalers/logs"},
		{Token: "alist", Verb: "", Resource: "customautoscalers/state"},
	}
	for range 2 {
		for _, q := range all {
			if a, err := r.Review(t.Context(), q); err != nil || a.User != q.Token {
				t.Errorf("%+v: %+v %v", q, a, err)
			}
		}
	}
	if c.count() != len(all) {
		t.Errorf("asked %d times for %d questions", c.count(), len(all))
	}
}

func TestReview_ManyAskOnceAndAFailureIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := atomic.Bool{}
		away.Store(true)
		c, r, results := reviewer(t, func(Question) (Answer, error) {
			time.Sleep(time.Second)
			if away.Load() {
				return Answer{}, fault.New(fault.Unavailable, "away")
			}
			return Answer{Authenticated: true}, nil
		})
		ask := func(ctx context.Context, want fault.Code) {
			if _, err := r.Review(ctx, question("jane")); want != "" && !fault.Is(err, want) || want == "" && err != nil {
				t.Errorf("%v, want %s", err, want)
			}
		}
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() { ask(t.Context(), fault.Unavailable) })
		}
		asking.Wait()
		if c.count() != 1 || results(Failed) != 1 {
			t.Errorf("asked %d times", c.count())
		}
		away.Store(false)
		first, gone := context.WithCancel(t.Context())
		asking.Go(func() { ask(first, fault.Unavailable) }) // who asked first goes away, and the others do not suffer
		synctest.Wait()
		for range 50 {
			asking.Go(func() { ask(t.Context(), "") })
		}
		synctest.Wait()
		gone()
		asking.Wait()
		if c.count() != 2 {
			t.Errorf("asked %d times", c.count())
		}
	})
}

func TestReview_OnlySoManyAreAskedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		_, r, results := reviewer(t, func(Question) (Answer, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(100 * time.Millisecond)
			return Answer{Authenticated: true}, nil
		})
		var refused atomic.Int32
		var asking sync.WaitGroup
		review := func(address string, n int) {
			for i := range n {
				asking.Go(func() {
					if _, err := r.Review(fairshare.From(t.Context(), address), question(fmt.Sprint(address, i))); fault.Is(err, fault.TooMany) {
						refused.Add(1)
					}
				})
			}
		}
		review("10.0.0.1:1", mostOfOne+waitOfOne+10)
		synctest.Wait()
		if now.Load() != mostOfOne {
			t.Errorf("one address is asked of %d times at once", now.Load())
		}
		if _, err := r.Review(fairshare.From(t.Context(), "10.0.0.2:1"), question("jane")); err != nil {
			t.Errorf("another address meanwhile: %v", err)
		}
		for i := range 20 {
			review(fmt.Sprintf("10.0.1.%d:1", i), 3)
		}
		asking.Wait()
		if refused.Load() != 10 || results(Full) != 10 || most.Load() != mostAsking {
			t.Errorf("%d are refused, %d counted; %d at a time", refused.Load(), results(Full), most.Load())
		}
	})
}

// Tokens that are none, from one address: the controller is asked of a hundred, and of the others at the pace of ten a
// second. Nobody else is refused for it.
func TestReview_BadTokensOfOneAddressAreItsOwnTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r, _ := reviewer(t, func(q Question) (Answer, error) {
			return Answer{Authenticated: q.Token == "jane", User: q.Token, Reason: "it is none"}, nil
		})
		bad := fairshare.From(t.Context(), "10.0.0.1:1")
		refused := 0
		for i := range 1000 {
			if _, err := r.Review(bad, question(fmt.Sprint("none", i))); fault.Is(err, fault.TooMany) {
				refused++
			}
		}
		if refused != 1000-10*badOfOne || c.count() != 10*badOfOne {
			t.Errorf("%d are refused, %d asked", refused, c.count())
		}
		if a, err := r.Review(fairshare.From(t.Context(), "10.0.0.2:1"), question("jane")); err != nil || !a.Authenticated {
			t.Errorf("jane: %+v %v", a, err)
		}
		if _, err := r.Review(bad, question("jane")); err != nil {
			t.Errorf("what is known costs no patience: %v", err)
		}
		time.Sleep(time.Second)
		if a, err := r.Review(bad, question("none")); err != nil || a.Authenticated {
			t.Errorf("a second later: %+v %v", a, err)
		}
	})
}

func TestReview_GivesUpOnAControllerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewReviewer(silent{}, func(Result) {})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := r.Review(t.Context(), question("jane")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != patience {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

type silent struct{}

func (silent) ReviewAccess(ctx context.Context, _ Question) (Answer, error) {
	<-ctx.Done()
	return Answer{}, ctx.Err()
}

func TestReview_WhatIsNoTokenIsNotAskedAbout(t *testing.T) {
	c, r, _ := reviewer(t, inSome)
	for _, token := range []string{"", strings.Repeat("x", maxToken+1)} {
		if a, err := r.Review(t.Context(), question(token)); err != nil || a.Authenticated || a.Reason == "" {
			t.Errorf("%d bytes: %+v %v", len(token), a, err)
		}
	}
	if c.count() != 0 {
		t.Error("the controller was asked")
	}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("n%05d", i))
	}
	return all
}

func TestReview_OfManyNamespacesIsAskedInParts(t *testing.T) {
	c, r, _ := reviewer(t, inSome)
	all := names(2*mostAsked + 5)
	a, err := r.Review(t.Context(), question("jane", all...))
	if err != nil || len(a.Namespaces) != 2*(2*mostAsked)/10+2 || !slices.IsSorted(a.Namespaces) {
		t.Errorf("%d: %v", len(a.Namespaces), err)
	}
	if c.count() != 3 || len(c.asked[0].Namespaces) != mostAsked || len(c.asked[2].Namespaces) != 5 {
		t.Errorf("asked in %d parts", c.count())
	}
	for name, answer := range map[string]Answer{"everywhere": {Authenticated: true, Everywhere: true}, "nobody": {Reason: "no"}} {
		c, r, _ := reviewer(t, func(Question) (Answer, error) { return answer, nil })
		if a, err := r.Review(t.Context(), question("jane", all...)); err != nil || a.Everywhere != answer.Everywhere || a.Authenticated != answer.Authenticated || c.count() != 1 {
			t.Errorf("%s: %+v %v, asked %d times", name, a, err, c.count())
		}
	}
}

func TestReview_WhatIsKeptIsBounded(t *testing.T) {
	everything := func(q Question) (Answer, error) {
		return Answer{Authenticated: !strings.HasPrefix(q.Token, "bad"), Namespaces: q.Namespaces}, nil
	}
	c, r, _ := reviewer(t, everything)
	all := names(mostAsked)
	for i := range mostNames/mostAsked + 10 {
		if _, err := r.Review(t.Context(), question(fmt.Sprint("big", i), all...)); err != nil {
			t.Fatal(err)
		}
	}
	if r.names > mostNames || r.good.Len() != mostNames/mostAsked {
		t.Errorf("%d names are kept of %d answers", r.names, r.good.Len())
	}
	for i := range mostGood + mostBad + 10 {
		if _, err := r.Review(fairshare.From(t.Context(), fmt.Sprintf("10.0.%d.%d", i/250, i%250)), question(fmt.Sprint("bad", i))); err != nil {
			t.Fatal(err)
		}
	}
	if r.bad.Len() != mostBad || r.good.Len() != mostNames/mostAsked {
		t.Errorf("bad ones: %d, and %d good ones are left", r.bad.Len(), r.good.Len())
	}
	before := c.count()
	for i := range mostGood + 10 {
		if _, err := r.Review(t.Context(), question(fmt.Sprint("small", i))); err != nil {
			t.Fatal(err)
		}
	}
	if r.good.Len() != mostGood || r.names != 0 || c.count() != before+mostGood+10 {
		t.Errorf("good ones: %d, with %d names", r.good.Len(), r.names)
	}
}
