// Package changes holds the last changes that somebody made, or was refused, through the controller: who, what, before
// and after. It is pure: no files, no network, no clock. They are lines of the log besides, which keep them for longer.
package changes

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Change is one of them.
type Change struct {
	ID        string
	Time      time.Time
	Who       string // the user's name, as Kubernetes has it
	Operation string // the contract's
	Namespace string // of the object; "": it belongs to none
	Resource  string // which object
	Status    int    // with which it was answered
	Reason    string // why it was refused
	// Before and After are JSON objects; nil: it is not known, or there was nothing.
	Before, After json.RawMessage
}

// Made tells whether it was.
func (c *Change) Made() bool { return c.Status < 400 }

const (
	// Kept is how many are.
	Kept = 500
	// maxSide bounds what is kept of before and of after, in bytes, and maxText the texts.
	maxSide = 4 << 10
	maxText = 512
	maxWhy  = 1024
)

// Fit is a change within the bounds.
func Fit(c Change) Change {
	c.Before, c.After = fit(c.Before), fit(c.After)
	c.Who, c.Resource, c.Reason = cut(c.Who, maxText), cut(c.Resource, maxText), cut(c.Reason, maxWhy)
	return c
}

func fit(side json.RawMessage) json.RawMessage {
	if len(side) <= maxSide {
		return side
	}
	return json.RawMessage(`{"omittedBytes":` + strconv.Itoa(len(side)) + `}`)
}

func cut(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// Differ are the fields of two JSON objects that are not alike in both, each as it is there; nil where there are none,
// or one is no object. A side that is nil has no fields.
func Differ(before, after json.RawMessage) (was, is json.RawMessage) {
	old, now := fields(before), fields(after)
	for name, value := range old {
		if same(value, now[name]) {
			delete(old, name)
			delete(now, name)
		}
	}
	return written(old), written(now)
}

func fields(object json.RawMessage) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(object, &all) // what is none has no fields
	return all
}

func written(all map[string]json.RawMessage) json.RawMessage {
	if len(all) == 0 {
		return nil
	}
	text, _ := json.Marshal(all) // of what was read: it never fails
	return text
}

// same tells whether two values are the same, whatever the order of their fields.
func same(a, b json.RawMessage) bool { return b != nil && bytes.Equal(plain(a), plain(b)) }

func plain(value json.RawMessage) []byte {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil {
		return value
	}
	text, _ := json.Marshal(v)
	return text
}

// Book holds the last changes, each once. Any number of goroutines may use it at once. Make it with New.
type Book struct {
	mu    sync.Mutex
	ring  []Change // the newest last
	first uint64   // the number of ring[0]
	known map[string]struct{}
	news  chan struct{} // closes when there are some
}

// New makes an empty one.
func New() *Book { return &Book{known: map[string]struct{}{}, news: make(chan struct{})} }

// Take keeps changes, and tells how many were not known.
func (b *Book) Take(list ...Change) (kept int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range list {
		if _, twice := b.known[c.ID]; twice {
			continue
		}
		kept++
		b.known[c.ID] = struct{}{}
		b.ring = append(b.ring, Fit(c))
		if len(b.ring) > Kept {
			delete(b.known, b.ring[0].ID)
			b.ring, b.first = slices.Delete(b.ring, 0, 1), b.first+1
		}
	}
	if kept > 0 {
		close(b.news)
		b.news = make(chan struct{})
	}
	return kept
}

// Last are at most limit of those that somebody wants to see, the newest first.
func (b *Book) Last(wanted func(*Change) bool, limit int) []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []Change
	for i := range b.ring {
		if wanted(&b.ring[i]) {
			found = append(found, b.ring[i])
		}
	}
	slices.SortStableFunc(found, func(a, b Change) int { return b.Time.Compare(a.Time) })
	return found[:min(limit, len(found))]
}

// After are at most limit of those that were kept after the one of a number, the oldest first, and the number of the
// last of them; news closes when there are more.
func (b *Book) After(number uint64, limit int) (list []Change, last uint64, news <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := min(max(number, b.first)-b.first, uint64(len(b.ring)))
	list = slices.Clone(b.ring[from:min(from+uint64(max(limit, 0)), uint64(len(b.ring)))])
	return list, b.first + from + uint64(len(list)), b.news
}
