package httpapi

import (
	"sync"
	"sync/atomic"
	"time"
)

// pulse tells all who follow when to look, in the same moment. To wake up is most of what a stream costs, more than to send and much
// more than what is sent: so one goroutine waits for all of them, and what is only traffic goes along with what is urgent.
// It beats while somebody follows and something is new.
type pulse struct {
	news   News
	behind atomic.Bool // somebody was not told of all the traffic that there is

	mu        sync.Mutex
	followers int
	stop      chan struct{}
	beat      chan struct{} // closes with the next one
	traffic   uint64        // how many of them were for traffic too
}

// enter has it beat for one more, until leave.
func (p *pulse) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.followers++; p.followers > 1 {
		return
	}
	p.stop = make(chan struct{})
	if p.beat == nil {
		p.beat = make(chan struct{})
	}
	_, changed := p.news.Since(p.news.Now(), false, 1) // from here on nothing is missed
	go p.run(p.stop, changed)
}

func (p *pulse) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.followers--; p.followers == 0 {
		close(p.stop)
	}
}

// next is the next beat, and how many there were for traffic.
func (p *pulse) next() (beat <-chan struct{}, traffic uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beat, p.traffic
}

// run beats: within a moment of what is urgent, and else for traffic.
func (p *pulse) run(stop, changed <-chan struct{}) {
	var looked, told time.Time // for what is urgent, and for traffic
	traffic := time.NewTimer(untilBeat(time.Now(), 0))
	defer traffic.Stop()
	at := p.news.Now()
	for {
		urgent := false
		var ordinary bool
		select {
		case <-changed:
			urgent = true
			time.Sleep(max(eventsApart, looksApart-time.Since(looked)))
			looked = time.Now()
			ordinary = looked.Sub(told) >= ordinaryEvery/2
			_, changed = p.news.Since(p.news.Now(), false, 1)
		case <-traffic.C:
			ordinary = true
		case <-stop:
			return
		}
		now := p.news.Now()
		if ordinary {
			told = time.Now()
			traffic.Reset(untilBeat(told, ordinaryEvery/2))
			if !p.behind.Swap(false) && !urgent && now == at {
				continue // nothing is new
			}
			at = now
		}
		p.mu.Lock()
		close(p.beat)
		p.beat = make(chan struct{})
		if ordinary {
			p.traffic++
		}
		p.mu.Unlock()
	}
}

// untilBeat is how long it is until traffic is sent: so long at the least.
func untilBeat(now time.Time, least time.Duration) time.Duration {
	return least + ordinaryEvery - time.Duration(now.Add(least).UnixNano())%ordinaryEvery
}
