package command

import (
	"fmt"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

// progress is a line that says for what is waited: on a terminal alone, from the first second on, and gone in the end.
type progress struct {
	t     *tool
	what  string
	began time.Time
	stop  chan struct{}
	ended sync.WaitGroup
	shown bool
}

func (t *tool) progress(what string) *progress {
	p := &progress{t: t, what: what, began: time.Now(), stop: make(chan struct{})}
	if t.ErrTerminal {
		p.ended.Go(p.run)
	}
	return p
}

func (p *progress) run() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			if p.shown {
				fmt.Fprint(p.t.Err, "\r\x1b[K")
			}
			return
		case <-tick.C:
			p.shown = true
			fmt.Fprintf(p.t.Err, "\r\x1b[K%s", p.t.paint(show.Faint, p.what+" … "+show.Duration(time.Since(p.began))))
		}
	}
}

func (p *progress) end() {
	close(p.stop)
	p.ended.Wait()
}
