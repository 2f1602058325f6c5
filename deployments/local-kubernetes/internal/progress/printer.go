// Package progress tells a person what takes so long: one line per finished step, and while a long
// one runs, how far it is. On a terminal the last line changes in place; in a log a new line appears
// now and then.
package progress

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Intervals between two lines about the same step.
const (
	terminalInterval = 500 * time.Millisecond
	logInterval      = 15 * time.Second
)

// Printer writes to one stream; it may be used by many goroutines.
type Printer struct {
	out      io.Writer
	terminal bool
	began    time.Time

	mu       sync.Mutex
	lastTold time.Time
	steps    map[string]string // what the long steps last had to say
	open     bool              // the last line is to be written over
}

// New makes a printer whose clock starts now.
func New(out *os.File) *Printer {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return &Printer{out: out, terminal: err == nil, began: time.Now(), steps: map[string]string{}}
}

// Line writes one line that stays.
func (p *Printer) Line(format string, arguments ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, "%7.1f s  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, arguments...))
	p.lastTold = time.Now()
}

// Status says how far a long step is; steps that run side by side share a line. Calls that come too
// soon after the last line only remember what they have to say.
func (p *Printer) Status(step, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[step] = text
	interval := logInterval
	if p.terminal {
		interval = terminalInterval
	}
	if time.Since(p.lastTold) < interval {
		return
	}
	p.lastTold = time.Now()
	p.clear()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p.steps)) {
		all = append(all, name+": "+p.steps[name])
	}
	line := fmt.Sprintf("%7.1f s  … %s", time.Since(p.began).Seconds(), strings.Join(all, "; "))
	if p.terminal {
		fmt.Fprint(p.out, line)
		p.open = true
		return
	}
	fmt.Fprintln(p.out, line)
}

// Done forgets a step that has ended.
func (p *Printer) Done(step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.steps, step)
}

func (p *Printer) clear() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.open = false
	}
}
