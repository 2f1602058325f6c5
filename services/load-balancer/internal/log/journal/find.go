package journal

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// prefix is how the names of the access log's streams begin, whatever their namespace.
const prefix = "logs-" + accesslog.Dataset + "-"

const (
	// maxRead bounds what one search reads. A page that ends there says where to go on.
	maxRead = 64 << 20
	// maxFlush is how long a search waits for the entries that are not on the disk yet.
	maxFlush = time.Second
	// again is when a search may be tried again that found the log not open.
	again = 5 * time.Second
)

// Find finds records, the one that ended last first. A page begins where the one before ended,
// whatever was added meanwhile; it may have fewer records than there are, or none, when much had to
// be looked at. What went by age is not there any more, and nothing that is older.
func (j *Journal) Find(ctx context.Context, q accesslog.Query) (page accesslog.Page, err error) {
	select {
	case j.searching <- struct{}{}:
		defer func() { <-j.searching }()
	case <-ctx.Done():
		return page, ctx.Err()
	}
	flushing, cancel := context.WithTimeout(ctx, maxFlush)
	_ = j.o.Spool.Flush(flushing) // when the disk is full there is still what is on it
	cancel()
	scan, err := j.o.Spool.Scan(prefix, q.After)
	switch {
	case errors.Is(err, spool.ErrGone):
		return page, nil
	case errors.Is(err, spool.ErrPlace):
		return page, accesslog.ErrCursor
	case errors.Is(err, spool.ErrShut):
		return page, fault.New(fault.Unavailable, "this load balancer's log cannot be opened, so it cannot be searched; its own log says why").After(again).Because(err)
	case err != nil:
		return page, err
	}
	defer scan.Close()
	matcher, full := q.Matcher(), ""
	for {
		if err := ctx.Err(); err != nil {
			return accesslog.Page{}, err
		}
		document, err := scan.Next()
		if err != nil || document == nil {
			return page, err
		}
		entry, err := accesslog.Decode(document)
		if err == nil && matcher.Match(&entry.Record) {
			if len(page.Entries) == q.Limit {
				page.Next = full
				return page, nil
			}
			if page.Entries = append(page.Entries, entry); len(page.Entries) == q.Limit {
				full = scan.Place()
			}
		}
		if scan.Read() > j.maxRead {
			page.Next = scan.Place()
			if full != "" {
				page.Next = full
			}
			return page, nil
		}
	}
}
