package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	deadFile    = "dead-letters.ndjson"
	oldDeadFile = "dead-letters.old.ndjson"
)

// DeadLetters keeps the entries that were refused for what they are, each in a line with why, for
// people to look at. It is bounded: when it is full its older half goes.
type DeadLetters struct {
	dir   string
	half  int64
	now   func() time.Time
	aged  prometheus.Counter
	mu    sync.Mutex
	bytes int64 // of whole lines in the file
}

// NewDeadLetters goes on with those in a folder, from the first that is added on: the folder need not
// be there before.
func NewDeadLetters(dir string, maxBytes int64, now func() time.Time, registry prometheus.Registerer) *DeadLetters {
	d := &DeadLetters{dir: dir, half: maxBytes / 2, now: now, bytes: unknown, aged: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nemesis_lb_log_dead_letters_aged_total", Help: "Refused log entries that went from the dead-letter file by age.",
	})}
	registry.MustRegister(d.aged)
	return d
}

// unknown is how large the file is before it was looked at.
const unknown = -1

// find finds the end of the file's last line. Half a line behind it, as a process that was killed
// leaves it, is cut off.
func (d *DeadLetters) find() error {
	if d.bytes != unknown {
		return nil
	}
	_, end, err := countLines(filepath.Join(d.dir, deadFile))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	d.bytes = end
	return nil
}

// countLines counts the lines of a file, however large it is, and says where the last one ends. Half
// a line behind it is cut off.
func countLines(path string) (lines int, end int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := f.Read(block)
		if newline := bytes.LastIndexByte(block[:n], '\n'); newline >= 0 {
			lines, end = lines+bytes.Count(block[:n], []byte("\n")), at+int64(newline)+1
		}
		switch at += int64(n); {
		case errors.Is(err, io.EOF):
			return lines, end, f.Truncate(end)
		case err != nil:
			return 0, 0, err
		}
	}
}

// letter is one line.
type letter struct {
	Time     time.Time       `json:"@timestamp"`
	Why      string          `json:"why"`
	Action   json.RawMessage `json:"action,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`
	Raw      string          `json:"raw,omitempty"` // in place of both where they are no JSON
}

// Add keeps an entry and why it was refused.
func (d *DeadLetters) Add(entry []byte, why string) error {
	l := letter{Time: d.now().UTC(), Why: why}
	if action, document, ok := split(entry); ok && json.Valid(action) && json.Valid(document) {
		l.Action, l.Document = action, document
	} else {
		l.Raw = string(entry)
	}
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.find(); err != nil {
		return err
	}
	path, older := filepath.Join(d.dir, deadFile), filepath.Join(d.dir, oldDeadFile)
	if d.bytes > 0 && d.bytes+int64(len(line)) > d.half {
		gone, _, _ := countLines(older) // none where there is no such file
		if err := os.Rename(path, older); err != nil {
			return err
		}
		d.aged.Add(float64(gone))
		d.bytes = 0
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, fileMode) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(line, d.bytes); err != nil {
		_ = f.Truncate(d.bytes)
		return err
	}
	d.bytes += int64(len(line))
	return nil
}
