package http1

import (
	"net/http"
	"sync/atomic"
	"time"
)

// date is the current time as a Date field has it, made once a second.
type date struct{ made atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (d *date) at(now time.Time) string {
	second := now.Unix()
	if made := d.made.Load(); made != nil && made.second == second {
		return made.text
	}
	made := &dated{second: second, text: now.UTC().Format(http.TimeFormat)}
	d.made.Store(made)
	return made.text
}
