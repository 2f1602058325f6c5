package httpapi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// beats is how often it beats within a time.
func beats(p *pulse, within time.Duration) (all int, traffic uint64) {
	_, before := p.next()
	for over := time.After(within); ; all++ {
		beat, _ := p.next()
		select {
		case <-beat:
		case <-over:
			_, after := p.next()
			return all, after - before
		}
	}
}

func TestPulse_BeatsWhereSomethingIsNewAndSomebodyFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		of := &pulse{news: p.board}
		of.enter()
		of.enter()
		for _, c := range []struct {
			name    string
			happens func()
			all     int
			traffic uint64
		}{
			{"nothing is new", func() {}, 0, 0},
			{"there is traffic", func() { p.board.Changed(key, false) }, 1, 1},
			{"somebody was not told of all", func() { of.behind.Store(true) }, 1, 1},
			{"one of them goes", of.leave, 0, 0},
			{"something is decided, and traffic goes along", func() { time.Sleep(ordinaryEvery * 7 / 10); p.board.Decided(fleet.Record{Key: key}) }, 1, 1},
		} {
			c.happens()
			if all, traffic := beats(of, 5*ordinaryEvery+ordinaryEvery/2); all != c.all || traffic != c.traffic {
				t.Errorf("%s: it beats %d times, %d of them for traffic; want %d, %d", c.name, all, traffic, c.all, c.traffic)
			}
		}
		of.leave()
		synctest.Wait()
		p.board.Decided(fleet.Record{Key: key})
		if all, _ := beats(of, 5*ordinaryEvery); all != 0 {
			t.Errorf("nobody follows, and it beats %d times", all)
		}
		of.enter()
		p.board.Decided(fleet.Record{Key: key})
		if all, _ := beats(of, ordinaryEvery/4); all != 1 {
			t.Errorf("who comes after all had gone: it beats %d times", all)
		}
		of.leave()
	})
}
