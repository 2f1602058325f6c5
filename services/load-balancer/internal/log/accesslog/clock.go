package accesslog

import (
	"sync/atomic"
	"time"
)

// clock writes times in RFC 3339 with what is known of a second already: nearly all records of a
// second begin and end in it. The zero value is ready; any number of goroutines may use it at once.
type clock struct {
	seconds [8]atomic.Pointer[second] // by the last bits: also of those that began some seconds ago
}

// second is one, written up to its fraction.
type second struct {
	unix int64
	text string
}

// append appends a time between quotes, with a comma behind.
func (c *clock) append(b []byte, t time.Time) []byte {
	unix := t.Unix()
	slot := &c.seconds[uint64(unix)%uint64(len(c.seconds))] //nolint:gosec // only the last bits count
	s := slot.Load()
	if s == nil || s.unix != unix {
		s = &second{unix, t.UTC().Format(`"2006-01-02T15:04:05`)}
		slot.Store(s)
	}
	b = append(b, s.text...)
	if n := t.Nanosecond(); n > 0 {
		var fraction [10]byte
		end := 1
		for i := 9; i > 0; i-- {
			if fraction[i] = byte('0' + n%10); end == 1 && n%10 > 0 {
				end = i + 1
			}
			n /= 10
		}
		fraction[0] = '.'
		b = append(b, fraction[:end]...)
	}
	return append(b, `Z",`...)
}
