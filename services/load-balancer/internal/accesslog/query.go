package accesslog

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ErrCursor is a place in another log: of another process, or no place at all.
var ErrCursor = errors.New("not the place of a record in this log; another load balancer, or this one before a restart, may have given it")

// Query says which records are wanted. The zero value of a field wants all.
type Query struct {
	Since      time.Time // arrived at or after
	Until      time.Time // arrived before
	Namespace  string
	Deployment string
	Status     int // from 100 on: this status; from 1 to 5: this class
	Client     netip.Addr
	Method     string
	Text       string // in the target or the path
	Limit      int    // at most so many; at least 1
	After      string // the Next of the page before
}

// Entry is a record and its id.
type Entry struct {
	ID string
	Record
}

// Page is a part of what was found, newest first.
type Page struct {
	Entries []Entry
	Next    string // for what is older; "" at the end
}

// step is how many records are copied at once.
const step = 32

// Find finds records, the one that ended last first. A page begins where the one before ended,
// whatever was added meanwhile.
func (g *Ring) Find(q Query) (Page, error) {
	before := ^uint64(0)
	if q.After != "" {
		place, ok := g.sequence(q.After)
		if !ok {
			return Page{}, ErrCursor
		}
		before = place
	}
	var (
		page  Page
		some  [step]Record
		match = q.matcher()
	)
	for {
		n, newest := g.copyBefore(before, some[:])
		for i := range n {
			before = newest - uint64(i)
			if !match(&some[i]) {
				continue
			}
			if len(page.Entries) == q.Limit {
				page.Next = page.Entries[q.Limit-1].ID
				return page, nil
			}
			page.Entries = append(page.Entries, Entry{ID: g.id(before), Record: some[i]})
		}
		if n == 0 {
			return page, nil
		}
	}
}

func (g *Ring) id(sequence uint64) string { return g.epoch + "." + strconv.FormatUint(sequence, 36) }

func (g *Ring) sequence(id string) (uint64, bool) {
	text, ok := strings.CutPrefix(id, g.epoch+".")
	if !ok {
		return 0, false
	}
	sequence, err := strconv.ParseUint(text, 36, 64)
	return sequence, err == nil && g.id(sequence) == id
}

// matcher tells of a record whether it is wanted.
func (q Query) matcher() func(*Record) bool {
	var target []byte // kept from record to record
	text := []byte(q.Text)
	return func(r *Record) bool {
		switch {
		case !q.Since.IsZero() && r.ArrivedAt.Before(q.Since),
			!q.Until.IsZero() && !r.ArrivedAt.Before(q.Until),
			q.Namespace != "" && r.Application.Namespace != q.Namespace,
			q.Deployment != "" && r.Application.Deployment != q.Deployment,
			q.Status >= 100 && r.ShownStatus() != q.Status,
			q.Status > 0 && q.Status < 100 && r.ShownStatus()/100 != q.Status,
			q.Client.IsValid() && !r.clientIs(q.Client),
			q.Method != "" && r.Method != q.Method:
			return false
		}
		if len(text) == 0 || strings.Contains(r.Path, q.Text) {
			return true
		}
		if r.Address == "" {
			return false
		}
		target = append(append(append(target[:0], "http://"...), r.Address...), r.PodPath...)
		return bytes.Contains(target, text)
	}
}
