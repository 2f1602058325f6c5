package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// errNotBegun is what became of a target whose turn never came.
var errNotBegun = errors.New("not begun")

// part is one target, on its way.
type part struct {
	name string
	lane int
	done chan struct{} // closed when it has ended; then took and err are read
	took time.Duration
	err  error

	mu   sync.Mutex
	log  *os.File
	live io.Writer // where it is shown as it comes; nil: it is not its turn
}

func newParts(o options) ([]*part, error) {
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return nil, err
	}
	var parts []*part
	for i, lane := range o.lanes {
		for _, name := range lane {
			log, err := os.Create(filepath.Join(o.out, name+".log")) //nolint:gosec // G304: the name is a target, without a slash
			if err != nil {
				return nil, err
			}
			parts = append(parts, &part{name: name, lane: i, done: make(chan struct{}), log: log, err: errNotBegun})
		}
	}
	return parts, nil
}

// Write takes what the target says.
func (p *part) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		if _, err := p.live.Write(b); err != nil {
			p.live = nil // nobody reads any more: the file goes on
		}
	}
	return p.log.Write(b)
}

// show begins to show what the target has said and says.
func (p *part) show(w io.Writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintf(w, "==== %s\n", p.name); err != nil {
		return err
	}
	said, err := os.Open(p.log.Name())
	if err != nil {
		return err
	}
	defer said.Close()
	if _, err := io.Copy(w, said); err != nil {
		return err
	}
	p.live = w
	return nil
}

// end notes what became of it.
func (p *part) end(took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took, p.err = took, err
	if closing := p.log.Close(); p.err == nil {
		p.err = closing
	}
	close(p.done)
}

// tail is how much of what a failed part said last is shown once more, in bytes. A log of all parts is long, and whoever
// keeps it often keeps its end alone.
const tail = 4 << 10

// again shows the last lines of a part that has ended.
func (p *part) again(w io.Writer) error {
	said, err := os.Open(p.log.Name())
	if err != nil {
		return err
	}
	defer said.Close()
	all, err := said.Stat()
	if err != nil {
		return err
	}
	last, err := io.ReadAll(io.NewSectionReader(said, max(0, all.Size()-tail), tail))
	if err != nil {
		return err
	}
	if _, after, found := bytes.Cut(last, []byte("\n")); found && all.Size() > tail {
		last = after // a line whose beginning is cut off
	}
	_, err = fmt.Fprintf(w, "==== %s, the end of it once more\n%s\n", p.name, bytes.TrimRight(last, "\n"))
	return err
}

// summary says what became of each, after the last lines of those that are not good, and returns an error when there is one.
func summary(w io.Writer, parts []*part) error {
	for _, p := range parts {
		if p.err == nil || errors.Is(p.err, errNotBegun) {
			continue
		}
		if err := p.again(w); err != nil {
			fmt.Fprintf(w, "what %s said is in %s, and cannot be shown: %v\n", p.name, p.log.Name(), err)
		}
	}
	var faults []string
	fmt.Fprintln(w, "==== all parts")
	for _, p := range parts {
		said := "ok"
		if p.err != nil {
			said = fmt.Sprintf("FAILED: %v; see %s", p.err, p.log.Name())
			faults = append(faults, p.name)
		}
		fmt.Fprintf(w, "  %-20s %8s  %s\n", p.name, p.took.Round(time.Second), said)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d of %d parts failed: %s", len(faults), len(parts), strings.Join(faults, ", "))
	}
	return nil
}
