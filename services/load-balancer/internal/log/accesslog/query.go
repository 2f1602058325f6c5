package accesslog

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
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
	Among      []string // namespaces, sorted: of these alone, and of no request without an application; nil wants all
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

// Matcher tells of one record after another whether it is wanted, be it fresh or read back. One
// goroutine at a time may use it.
type Matcher struct {
	query  Query
	text   []byte
	target []byte // kept from record to record
}

// Matcher makes one. Limit and After are the keeper's business.
func (q Query) Matcher() *Matcher { return &Matcher{query: q, text: []byte(q.Text)} }

// Match tells whether the record is wanted.
func (m *Matcher) Match(r *Record) bool {
	q := &m.query
	switch {
	case !q.Since.IsZero() && r.ArrivedAt.Before(q.Since),
		!q.Until.IsZero() && !r.ArrivedAt.Before(q.Until),
		q.Namespace != "" && r.Application.Namespace != q.Namespace,
		q.Among != nil && !among(q.Among, r.Application.Namespace),
		q.Deployment != "" && r.Application.Deployment != q.Deployment,
		q.Status >= 100 && r.ShownStatus() != q.Status,
		q.Status > 0 && q.Status < 100 && r.ShownStatus()/100 != q.Status,
		q.Client.IsValid() && !r.clientIs(q.Client),
		q.Method != "" && r.Method != q.Method:
		return false
	}
	if len(m.text) == 0 || strings.Contains(r.Path, q.Text) {
		return true
	}
	if r.Address == "" {
		return false
	}
	m.target = append(append(append(m.target[:0], "http://"...), r.Address...), r.PodPath...)
	return bytes.Contains(m.target, m.text)
}

func among(sorted []string, name string) bool {
	_, found := slices.BinarySearch(sorted, name)
	return found
}
