//go:build bench && linux

package app_test

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/journal"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// What the measurement needs of this build, as it is called here. An older build has a file like this
// one of its own, which e2e/bench/logs keeps.

type application = accesslog.Application

func add(j *journal.Journal, r *accesslog.Record) { j.Add(r) }

var setUp = elastic.Setup

func openSpool(t *testing.T, ids *journal.IDs, entries accesslog.Options, o spool.Options) (*spool.Spool, *spool.DeadLetters) {
	t.Helper()
	o.Render = journal.Renderer(ids, entries)
	return spool.Open(o), spool.NewDeadLetters(o.Dir, 1<<20, time.Now, o.Registry)
}
