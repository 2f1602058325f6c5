package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

const (
	maxLog      = 256 << 20 // bytes; then a log begins anew
	leastLine   = 100       // bytes of a log's line
	mostAccepts = 20        // for 1000 requests
)

// meter reads what a proxy used between begin and end.
type meter struct {
	bench   *bench
	proxy   *peer.Running
	cpu     time.Duration
	accepts int64
	log     int64
	err     error
}

func (b *bench) meter(r *peer.Running) *meter { return &meter{bench: b, proxy: r} }

func (m *meter) begin() {
	m.log = size(m.proxy.Command.Log)
	m.accepts = m.bench.backend.Accepts()
	m.cpu, m.err = m.proxy.CPU()
}

func (m *meter) end() {
	cpu, err := m.proxy.CPU()
	m.cpu, m.err = cpu-m.cpu, errors.Join(m.err, err)
	m.accepts = m.bench.backend.Accepts() - m.accepts
	now := size(m.proxy.Command.Log)
	m.log = now - m.log
	if now > maxLog {
		_ = os.Truncate(m.proxy.Command.Log, 0) // a folder bounds itself
	}
}

// doubts are what makes the comparison unfair, or "": a proxy that has a log and does not write it, one
// that makes its connections to the backend anew. Both are judged by a run on which a proxy was busy for
// long enough.
func doubts(s report.Sample, took time.Duration) string {
	logged, hasLog := s[report.LogBytes]
	switch {
	case took < time.Second:
	case hasLog && logged < leastLine:
		return fmt.Sprintf("it logged %.0f bytes a request: its log is not what it should be", logged)
	case s[report.Accepts] > mostAccepts:
		return fmt.Sprintf("it made %.0f connections to the backend for 1000 requests: it does not keep them", s[report.Accepts])
	}
	return ""
}

// sample is for each of n requests.
func (m *meter) sample(n int) report.Sample {
	each := 1 / float64(n)
	s := report.Sample{
		report.CPU:     float64(m.cpu) / float64(time.Microsecond) * each,
		report.Accepts: float64(m.accepts) * 1000 * each,
	}
	if m.proxy.Command.Log != "" && m.log >= 0 { // it shrinks when a log drops its oldest part
		s[report.LogBytes] = float64(m.log) * each
	}
	return s
}

// figures are the sample of a run with its latencies.
func (m *meter) figures(result load.Result, err error) (report.Sample, error) {
	if err = errors.Join(err, m.err); err != nil {
		return nil, err
	}
	if result.Requests == 0 {
		return nil, errors.New("no answer came")
	}
	s := m.sample(result.Requests)
	s[report.Requests] = float64(result.Requests) / result.Took.Seconds()
	latencies(s, result.Latencies)
	return s, nil
}

// size is that of a file or of all files in a folder.
func size(path string) (sum int64) {
	if path == "" {
		return 0
	}
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that is gone has no size
		}
		var info os.FileInfo
		if info, err = d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
