package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/access"
)

const (
	// A token is asked about before its first message is heard, for so long at the most, and from then on so often
	// without anybody waiting for it.
	peerPatience = 300 * time.Millisecond
	peerAgain    = 10 * time.Second
	peerTimeout  = 5 * time.Second
)

// peerTokens knows which tokens of other load balancers, good by the issuer's keys, the controller takes no more: those
// of pods that are gone. It knows the pods, and here they are not known. While the controller is away, or slow, the keys
// alone decide: load balancers share slots without it too.
type peerTokens struct {
	ask func(ctx context.Context, token string) (access.Answer, error)

	mu sync.Mutex
	of map[[sha256.Size]byte]*peerToken
}

// peerToken is what is known of one.
type peerToken struct {
	asking bool
	asked  time.Time
	first  chan struct{} // closes with the first answer, or when there is none
	gone   string        // why it is taken no more; "": it is taken
}

func newPeerTokens(ask func(ctx context.Context, token string) (access.Answer, error)) *peerTokens {
	return &peerTokens{ask: ask, of: map[[sha256.Size]byte]*peerToken{}}
}

// refusal is why a token is taken no more; "": it is taken.
func (p *peerTokens) refusal(ctx context.Context, token string) string {
	one := p.look(ctx, token)
	timer := time.NewTimer(peerPatience)
	defer timer.Stop()
	select {
	case <-one.first:
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return one.gone
}

// look has the controller asked, if that is due.
func (p *peerTokens) look(ctx context.Context, token string) *peerToken {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := sha256.Sum256([]byte(token))
	one := p.of[sum]
	if one == nil {
		if len(p.of) >= knownPeers {
			clear(p.of) // each is asked about anew
		}
		one = &peerToken{first: make(chan struct{})}
		p.of[sum] = one
	}
	if !one.asking && time.Since(one.asked) >= peerAgain {
		one.asking = true
		go p.judge(context.WithoutCancel(ctx), token, one)
	}
	return one
}

// judge asks the controller. What it cannot say now changes nothing: who is gone stays gone.
func (p *peerTokens) judge(ctx context.Context, token string, one *peerToken) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	answer, err := p.ask(ctx, token)
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.asked.IsZero() {
		close(one.first)
	}
	one.asking, one.asked = false, time.Now()
	switch {
	case err != nil:
	case answer.Authenticated:
		one.gone = ""
	default:
		one.gone = cmp.Or(answer.Reason, "the autoscaler-controller does not take the token")
	}
}
