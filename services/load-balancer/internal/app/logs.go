package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/build"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/admin"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/journal"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// deadShare is which part of the spool's room there is, beside it, for what Elasticsearch refuses.
const deadShare = 16

// logs are the parts of the log: records go through the journal into the spool, and from there to
// Elasticsearch if there is one. Who searches asks there, else the journal.
type logs struct {
	*journal.Journal
	store   admin.Logs // that is searched
	scaling *scalinglog.Log
	spool   *spool.Spool
	log     *slog.Logger
	watch   *watch             // nil where nothing is shipped
	end     context.CancelFunc // of the shipping
	ended   chan struct{}
}

func openLogs(s Settings, logged logged, startedAt time.Time, log *slog.Logger, registry prometheus.Registerer) (*logs, error) {
	l := &logs{log: log, end: func() {}}
	limit := int64(s.LogSpoolMiB) << 20
	origin := accesslog.Origin{Balancer: s.Identity, Version: build.Version(), Namespace: s.Elasticsearch.Namespace}
	ids, entries := journal.NewIDs(s.Identity, startedAt), accesslog.NewOptions(origin, logged.parameters)
	l.spool = spool.Open(spool.Options{
		Dir: s.LogSpoolDir, MaxBytes: limit, QueueBytes: int64(s.LogQueueMiB) << 20, Outbox: s.Elasticsearch.Wanted(),
		Render: journal.Renderer(ids, entries), Now: time.Now, Log: log, Registry: registry,
	})
	l.Journal = journal.New(journal.Options{
		Spool: l.spool, IDs: ids, Entries: entries,
		Sampler: logged.sampler, Random: rand.Float64,
	})
	l.scaling = scalinglog.New(scalinglog.Origin(origin), l.spool)
	l.store = l.Journal
	if s.Elasticsearch.Wanted() {
		if err := l.ship(s, limit/deadShare, registry); err != nil {
			l.close(context.Background())
			return nil, err
		}
	}
	return l, nil
}

// ship begins the shipping to Elasticsearch, which is searched from then on.
func (l *logs) ship(s Settings, deadBytes int64, registry prometheus.Registerer) error {
	client, err := patient(s.Elasticsearch.Options())
	if err != nil {
		return err
	}
	reader, err := patient(s.Elasticsearch.ReadOptions())
	if err != nil {
		return err
	}
	l.store = elastic.NewSearch(reader, s.Elasticsearch.Namespace)
	dead := spool.NewDeadLetters(s.LogSpoolDir, deadBytes, time.Now, registry)
	outbox := l.spool.Outbox()
	shipper := elastic.NewShipper(client, elastic.ShipperOptions{
		Outbox: outbox, DeadLetters: dead, Gzip: s.ElasticsearchGzip,
		Random: rand.Float64, Log: l.log, Registry: registry,
	})
	l.watch = &watch{writer: client, reader: reader, shipper: shipper, namespace: s.Elasticsearch.Namespace, log: l.log}
	life, end := context.WithCancel(context.Background())
	l.end, l.ended = end, make(chan struct{})
	go func() {
		defer close(l.ended)
		defer outbox.Close()
		var looking sync.WaitGroup
		defer looking.Wait()
		looking.Go(func() { l.watch.run(life) })
		shipper.Run(life)
	}()
	return nil
}

// patient makes a client that does without its files until they can be read: the log keeps no port shut.
func patient(o elastic.Options) (*elastic.Client, error) {
	o.Patient = true
	return elastic.New(o)
}

// Find asks who has the log.
func (l *logs) Find(ctx context.Context, q accesslog.Query) (accesslog.Page, error) {
	return l.store.Find(ctx, q)
}

// close writes what is left to the spool, and ships it as long as ctx lets it: the folder may be gone
// with the pod. When it is not, what is left is shipped by the next start.
func (l *logs) close(ctx context.Context) {
	if err := l.spool.Seal(ctx); err != nil {
		l.log.Error("the last entries of the log could not be written", "error", err)
	}
	if l.ended != nil {
		if left := l.spool.Drain(ctx); left > 0 {
			l.log.Warn("entries of the log are not shipped; they stay in the spool", "entries", left)
		}
		l.end()
		<-l.ended
	}
	if err := l.spool.Close(ctx); err != nil {
		l.log.Warn("the log was not closed well", "error", err)
	}
}
