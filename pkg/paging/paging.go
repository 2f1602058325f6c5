// Package paging cuts ordered lists into pages, as Kubernetes' API does: `limit` bounds a page, and an opaque
// `continue` leads to the next one.
//
// The token is the place where a page ended: the key of its last item, by which the list is ordered. So a
// list keeps nothing for those who read it, a place does not age, and what is there all the time while the
// pages are read stands in them once, whatever comes and goes beside it. (Kubernetes keeps a snapshot in place
// of that, for some minutes.) It also means that a list that is merged of several can be paged: the same place
// is one in each of them. A place names the list and the selection that it belongs to; in another one it
// would mean something else, and is refused.
package paging

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

const (
	// version stands before what a token says, a digit. Whatever changes the meaning of a place gets another one.
	version = '1'
	// maxToken is as long as a token may be, as in the contracts.
	maxToken = 2048
	// maxShown is as much of a token as a refusal shows.
	maxShown = 64
)

var (
	errMalformed = errors.New("no token of a page")
	errVersion   = errors.New("a token of another version")
	encoding     = base64.RawURLEncoding.Strict() // one text for each token
)

// place is where a page ended.
type place struct {
	list, selection string
	after           []string
}

func (p place) token() string {
	said, _ := json.Marshal(append([]string{p.list, p.selection}, p.after...)) // texts always can be written
	return encoding.EncodeToString(append([]byte{version}, said...))
}

func parse(token string) (place, error) {
	if len(token) > maxToken {
		return place{}, errMalformed
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || len(raw) == 0 {
		return place{}, errMalformed
	}
	switch {
	case raw[0] < '0' || raw[0] > '9':
		return place{}, errMalformed
	case raw[0] != version:
		return place{}, errVersion
	}
	var said []string
	if err := json.Unmarshal(raw[1:], &said); err != nil || len(said) < 3 {
		return place{}, errMalformed
	}
	p := place{list: said[0], selection: said[1], after: said[2:]}
	if p.token() != token { // spaces, escapes: not written by us
		return place{}, errMalformed
	}
	return p, nil
}

// List is a list that was asked for: its name, and what of it.
type List struct {
	Name      string
	Selection []string // the values that it was chosen by, each at its place
	Keys      int      // of how many parts the key of an item is
}

// Token is the place behind the item of this key.
func (l List) Token(key []string) string { return place{l.Name, l.selection(), key}.token() }

// selection tells selections apart.
func (l List) selection() string {
	said, _ := json.Marshal(l.Selection) // texts always can be written
	sum := sha256.Sum256(said)
	return encoding.EncodeToString(sum[:9])
}

// Open is the key behind which a page begins; nil is the beginning. Errors are those of package fault: Invalid for
// what is no token of this list, Gone for one of another version.
func (l List) Open(token string) (after []string, err error) {
	if token == "" {
		return nil, nil
	}
	p, err := parse(token)
	switch {
	case errors.Is(err, errVersion):
		return nil, Gone(token).Because(err)
	case err != nil:
		return nil, fault.New(fault.Invalid, "").With("continue", shown(token), "the metadata.continue of a page, as it was").Because(err)
	case p.list != l.Name:
		return nil, fault.New(fault.Invalid, "").With("continue", shown(token), "the metadata.continue of a page of this list; this one is of the list of "+p.list)
	case p.selection != l.selection():
		return nil, fault.New(fault.Invalid, "").With("continue", shown(token), "the metadata.continue of a page with the same selection: each page is asked for as the first one was")
	case len(p.after) != l.Keys:
		return nil, fault.New(fault.Invalid, "").With("continue", shown(token), "the metadata.continue of a page, as it was")
	}
	return p.after, nil
}

// Gone is the refusal of a place behind which the list is no more what it was.
func Gone(token string) *fault.Error {
	return fault.New(fault.Gone, "begin the list anew, without continue").
		With("continue", shown(token), "the metadata.continue of a page that was read just now")
}

func shown(token string) string {
	if len(token) > maxShown {
		return token[:maxShown] + "…"
	}
	return token
}

// Page is a part of a list, which is made by adding the items of the list in their order.
type Page[T any] struct {
	Items []T
	More  bool // there are others behind it

	limit       int
	after, last []string
}

// NewPage makes an empty one, for at most so many items (0: as many as there are) behind a key.
func NewPage[T any](limit int, after []string) *Page[T] {
	return &Page[T]{Items: []T{}, limit: limit, after: after}
}

// Add adds the next item of the list, if it is behind the place where the page begins. False: the page is full,
// and this one is not on it.
func (p *Page[T]) Add(key []string, item func() T) bool {
	switch {
	case p.after != nil && slices.Compare(key, p.after) <= 0:
		return true
	case p.limit > 0 && len(p.Items) >= p.limit:
		p.More = true
		return false
	}
	p.Items, p.last = append(p.Items, item()), key
	return true
}

// Last is the key of the last item; nil: there is none.
func (p *Page[T]) Last() []string { return p.last }
