package httpapi

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// seats bounds how many streams of a kind this replica serves at a time, and how many of one caller.
type seats struct {
	most, mostOfOne int

	mu    sync.Mutex
	taken int
	of    map[string]int
}

// enter takes one for a caller. The error says what is full, in one of two texts: that of this caller, or of all.
func (s *seats) enter(who, fullOfOne, full string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[who] >= s.mostOfOne:
		return fault.New(fault.TooMany, "%s", fullOfOne).After(10 * time.Second)
	case s.taken >= s.most:
		return fault.New(fault.TooMany, "%s", full).After(10 * time.Second)
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.taken++
	s.of[who]++
	return nil
}

func (s *seats) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[who]--; s.of[who] == 0 {
		delete(s.of, who)
	}
}

// watcher names who watches: the caller, else the token, else the address.
func (a *api) watcher(r *http.Request) string {
	if name := a.granted(r.Context()).Caller.Name; name != "" {
		return "name " + name
	}
	if token, _, _ := guard.Token(r.Header); token != "" {
		sum := sha256.Sum256([]byte(token))
		return "token " + string(sum[:])
	}
	return "from " + fairshare.Sender(r.RemoteAddr)
}
