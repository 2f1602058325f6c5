package logs

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// The bounds of what the standard logger may add to the log. Peers can cause its lines: what a pod or
// a client does wrong in HTTP/2 is one.
const (
	standardBurst = 10              // lines at once
	standardEvery = 6 * time.Second // and then one each
	standardLine  = 2 << 10         // bytes of a line
)

// standard is where the standard logger writes. Libraries that have no logger of their own use it:
// net/http's HTTP/2, of both sides, for one. Each of its lines becomes one of the log, at warn.
type standard struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	spare   int       // lines that may be logged
	since   time.Time // when the last of them was gained
	omitted int       // lines since the last that was logged
}

func newStandard(log *slog.Logger, now func() time.Time) *standard {
	return &standard{log: log, now: now, spare: standardBurst, since: now()}
}

// Write logs one line. It never fails: nobody looks.
func (s *standard) Write(line []byte) (int, error) {
	if omitted, ok := s.take(); ok {
		attrs := []any{"error", cut(bytes.TrimSpace(line))}
		if omitted > 0 {
			attrs = append(attrs, "omitted", omitted)
		}
		s.log.Warn("a library says", attrs...)
	}
	return len(line), nil
}

// take tells whether a line may be logged, and how many before it were not.
func (s *standard) take() (omitted int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gained := int(s.now().Sub(s.since) / standardEvery)
	s.since = s.since.Add(time.Duration(gained) * standardEvery)
	s.spare = min(s.spare+gained, standardBurst)
	if s.spare == 0 {
		s.omitted++
		return 0, false
	}
	s.spare--
	omitted, s.omitted = s.omitted, 0
	return omitted, true
}

// cut bounds a line.
func cut(line []byte) string {
	if len(line) <= standardLine {
		return string(line)
	}
	return strings.ToValidUTF8(string(line[:standardLine]), "") + "…"
}
