package spool

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why an entry was lost.
const (
	dropQueueFull = "queue-full" // the writer is slower than what comes, or cannot write
	dropSpoolFull = "spool-full" // not shipped yet when the oldest segment had to go
	dropClosed    = "closing"    // offered, or not written, after the end
	dropVanished  = "vanished"   // its file is gone, and not by us
	dropMalformed = "malformed"  // no entry, or one that is too long
)

type metrics struct {
	records, bytes         map[string]prometheus.Counter
	writeErrors            prometheus.Counter
	garbage                prometheus.Counter
	agedRecords, agedBytes prometheus.Counter

	now  func() time.Time
	lost map[string]*atomic.Int64 // when the last entry was, by why, in nanoseconds since 1970; 0: none was
}

var dropReasons = []string{dropQueueFull, dropSpoolFull, dropClosed, dropVanished, dropMalformed}

func newMetrics(s *Spool) *metrics {
	const prefix = "nemesis_lb_log_"
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
		s.o.Registry.MustRegister(c)
		return c
	}
	byReason := func(name, help string) map[string]prometheus.Counter {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{"reason"})
		s.o.Registry.MustRegister(vec)
		out := map[string]prometheus.Counter{}
		for _, reason := range dropReasons {
			out[reason] = vec.WithLabelValues(reason)
		}
		return out
	}
	lost := map[string]*atomic.Int64{}
	for _, reason := range dropReasons {
		lost[reason] = new(atomic.Int64)
	}
	return &metrics{
		now: s.o.Now, lost: lost,
		records:     byReason("dropped_total", "Log entries that were lost, by why."),
		bytes:       byReason("dropped_bytes_total", "Bytes of log entries that were lost, by why."),
		writeErrors: counter("spool_write_errors_total", "Failed tries to write to the spool or to flush it."),
		garbage:     counter("spool_garbage_bytes_total", "Bytes in the spool's files that were no entries and were passed over."),
		agedRecords: counter("spool_aged_total", "Log entries that went by age, to make room for newer ones; none of them was to be shipped."),
		agedBytes:   counter("spool_aged_bytes_total", "Bytes of log entries that went by age, to make room for newer ones."),
	}
}

func (m *metrics) drop(reason string, records int, bytes int64) {
	if records > 0 {
		m.lost[reason].Store(m.now().UnixNano())
	}
	m.records[reason].Add(float64(records))
	m.bytes[reason].Add(float64(bytes))
}

// lostLast is when an entry was lost last, and why.
func (m *metrics) lostLast() (at time.Time, reason string) {
	for _, why := range dropReasons {
		if t := time.Unix(0, m.lost[why].Load()); t.Unix() != 0 && t.After(at) {
			at, reason = t, why
		}
	}
	return at, reason
}

func (m *metrics) aged(records, bytes int64) {
	m.agedRecords.Add(float64(records))
	m.agedBytes.Add(float64(bytes))
}

// collector reads the gauges when they are asked for.
type collector struct{ s *Spool }

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("nemesis_lb_log_"+name, help, nil, nil)
}

var (
	spoolBytes       = desc("spool_bytes", "Bytes of the log's entries on the disk.")
	spoolLimit       = desc("spool_limit_bytes", "Bytes of the log's entries that there may be on the disk; then the oldest go.")
	spoolRecords     = desc("spool_records", "The log's entries on the disk.")
	spoolSegments    = desc("spool_segments", "Files that hold the log's entries.")
	spoolFailing     = desc("spool_failing", "1 while nothing can be written to the disk.")
	queueBytes       = desc("queue_bytes", "Bytes of the log's entries that are not on the disk yet.")
	queueLimit       = desc("queue_limit_bytes", "Bytes of the log's entries that may wait for the disk; then what comes is lost.")
	unshippedBytes   = desc("unshipped_bytes", "Bytes of the log's entries on the disk that were not acknowledged.")
	unshippedRecords = desc("unshipped_records", "The log's entries on the disk that were not acknowledged.")
	unshippedAge     = desc("unshipped_age_seconds", "Age of the oldest entry that was not acknowledged; 0: there is none.")
)

// Describe names the gauges.
func (c *collector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect reads them.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.s.Stats()
	var age time.Duration
	if !stats.OldestUnshipped.IsZero() {
		age = max(c.s.o.Now().Sub(stats.OldestUnshipped), 0)
	}
	failing := 0.0
	if stats.Failing != nil {
		failing = 1
	}
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{spoolBytes, float64(stats.Bytes)}, {spoolLimit, float64(c.s.o.MaxBytes)}, {spoolRecords, float64(stats.Records)},
		{spoolSegments, float64(stats.Segments)}, {spoolFailing, failing},
		{queueBytes, float64(stats.QueueBytes)}, {queueLimit, float64(c.s.o.QueueBytes)},
		{unshippedBytes, float64(stats.UnshippedBytes)}, {unshippedRecords, float64(stats.UnshippedRecords)}, {unshippedAge, age.Seconds()},
	} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}
