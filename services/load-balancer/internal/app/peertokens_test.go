package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/access"
)

// controllerOf answers about tokens as a test says, after a while.
type controllerOf struct {
	asked int
	after time.Duration
	gone  string
	err   error
}

func (c *controllerOf) ask(ctx context.Context, _ string) (access.Answer, error) {
	c.asked++
	select {
	case <-time.After(c.after):
	case <-ctx.Done():
		return access.Answer{}, ctx.Err()
	}
	return access.Answer{Authenticated: c.gone == "", Reason: c.gone}, c.err
}

func TestPeerTokens_OfAPodThatIsGoneIsRefusedFromItsFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &controllerOf{after: 20 * time.Millisecond, gone: "its pod is gone"}
		p := newPeerTokens(c.ask)
		for range 3 {
			if got := p.refusal(t.Context(), "a"); got != "its pod is gone" {
				t.Errorf("it is refused for %q", got)
			}
		}
		if c.asked != 1 {
			t.Errorf("the controller was asked %d times", c.asked)
		}
	})
}

func TestPeerTokens_IsAskedAboutNowAndThenAndNobodyWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &controllerOf{after: 20 * time.Millisecond}
		p := newPeerTokens(c.ask)
		if got := p.refusal(t.Context(), "a"); got != "" {
			t.Fatalf("it is refused for %q", got)
		}
		c.gone = "gone meanwhile"
		time.Sleep(peerAgain)
		began := time.Now()
		if got := p.refusal(t.Context(), "a"); got != "" || time.Since(began) > 0 {
			t.Errorf("it waited %v, and is refused for %q", time.Since(began), got)
		}
		time.Sleep(c.after)
		synctest.Wait()
		if got := p.refusal(t.Context(), "a"); got != "gone meanwhile" {
			t.Errorf("it is refused for %q", got)
		}
		c.err = errors.New("away") // who is gone does not come back
		time.Sleep(peerAgain)
		p.refusal(t.Context(), "a")
		time.Sleep(c.after)
		synctest.Wait()
		if got := p.refusal(t.Context(), "a"); got != "gone meanwhile" {
			t.Errorf("with nobody to ask it is refused for %q", got)
		}
	})
}

// Load balancers share slots without a controller: one that is away, or hangs, costs the first message a moment.
func TestPeerTokens_WithoutAControllerTheKeysDecide(t *testing.T) {
	for name, c := range map[string]*controllerOf{"away": {err: errors.New("away")}, "hanging": {after: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			p, began := newPeerTokens(c.ask), time.Now()
			if got := p.refusal(t.Context(), "a"); got != "" || time.Since(began) > peerPatience {
				t.Errorf("%s: after %v it is refused for %q", name, time.Since(began), got)
			}
			time.Sleep(peerTimeout)
			synctest.Wait()
			began = time.Now()
			if got := p.refusal(t.Context(), "a"); got != "" || time.Since(began) > 0 {
				t.Errorf("%s: the next one after %v is refused for %q", name, time.Since(began), got)
			}
			time.Sleep(peerTimeout)
			synctest.Wait()
		})
	}
}

func TestPeerTokens_AreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeerTokens((&controllerOf{}).ask)
		for i := range 2*knownPeers + 1 {
			p.refusal(t.Context(), fmt.Sprint(i))
		}
		if n := len(p.of); n > knownPeers {
			t.Errorf("%d are kept", n)
		}
	})
}
