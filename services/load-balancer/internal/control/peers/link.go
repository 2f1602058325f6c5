package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/peers"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// The bounds of an exchange.
const (
	maxApplications = 500
	maxBody         = 8 << 20
)

// Path is where messages are taken.
const Path = "/v1/slots"

// link is the way to one other load balancer.
type link struct {
	peers *Peers
	to    slots.Member
	end   context.CancelFunc
	wake  chan struct{}

	mu   sync.Mutex
	due  map[routing.Application]bool
	word bool
}

// question is what a request says beside the applications.
type question struct{ word, ended bool }

// add has an application's messages sent soon.
func (l *link) add(apps ...routing.Application) {
	l.mu.Lock()
	for _, app := range apps {
		l.due[app] = true
	}
	l.mu.Unlock()
	l.ring()
}

// ask has the other one asked for its word.
func (l *link) ask() {
	l.mu.Lock()
	l.word = true
	l.mu.Unlock()
	l.ring()
}

func (l *link) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take is what goes with the next exchange.
func (l *link) take() (apps []routing.Application, q question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for app := range maps.Keys(l.due) {
		if len(apps) == maxApplications {
			l.ring()
			break
		}
		apps = append(apps, app)
		delete(l.due, app)
	}
	q.word, l.word = l.word, false
	return apps, q
}

func (l *link) run(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		apps, q := l.take()
		if len(apps) == 0 && !q.word {
			continue
		}
		err := l.exchange(ctx, apps, q)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			l.peers.o.Log.Info("another load balancer is not reached, it is tried again", "balancer", l.to.Name, "address", l.to.Address, "error", err)
		}
		l.add(apps...)
		pauses := backOff
		if errors.Is(err, errNotLet) {
			pauses = bearer.Backoff
		}
		retry.Pause(ctx, pauses.Near(failures, rand.Float64))
	}
}

// exchange says what is due of the applications, and takes the answer.
func (l *link) exchange(ctx context.Context, apps []routing.Application, q question) error {
	desk, sent := l.peers.desk, time.Now()
	out := peers.SlotsExchange{
		From: memberOut(desk.Self()), To: idOut(l.to.ID), Word: some(q.word), Ended: some(q.ended),
		Applications: make([]peers.ApplicationSlots, 0, len(apps)),
	}
	for _, app := range apps {
		if m := desk.Due(app, l.to.ID); !m.Empty() {
			out.Applications = append(out.Applications, applicationOut(app, m, sent))
		}
	}
	if len(out.Applications) == 0 && q == (question{}) && len(apps) > 0 {
		return nil // it was said meanwhile
	}
	in, err := l.peers.post(ctx, l.to.Address, out)
	result := "ok"
	if err != nil {
		result = "error"
	}
	l.peers.exchanges.WithLabelValues(result).Inc()
	if err != nil {
		return err
	}
	from := memberIn(in.From)
	if from.ID != l.to.ID {
		return fmt.Errorf("%s has this address now", from.Name)
	}
	desk.Heard(from, false)
	if value(in.Word) && q.word {
		desk.Word(from, sent)
	}
	now := time.Now()
	for _, a := range in.Applications {
		app, m := applicationIn(a, now)
		desk.Hear(from, app, m, true)
	}
	return nil
}

// errNotLet is that the other one does not take this load balancer's token, or does not let it: somebody
// must mend that first.
var errNotLet = errors.New("it refuses this load balancer")

func (p *Peers) post(ctx context.Context, address string, out peers.SlotsExchange) (in peers.SlotsExchange, err error) {
	body, err := json.Marshal(out)
	if err != nil {
		return in, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.scheme+address+Path, bytes.NewReader(body))
	if err != nil {
		return in, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(r)
	if err != nil {
		return in, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return in, err
	}
	if answer.StatusCode != http.StatusOK {
		refusal, _ := fault.Read(answer.StatusCode, text)
		err := fmt.Errorf("it answered %s: %s", answer.Status, refusal.Summary())
		if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
			err = fmt.Errorf("%w: %w", errNotLet, err)
		}
		return in, err
	}
	return in, json.Unmarshal(text, &in)
}

func applicationOut(app routing.Application, m slots.Message, now time.Time) peers.ApplicationSlots {
	return peers.ApplicationSlots{
		Namespace: app.Namespace, Deployment: app.Deployment, Lender: lenderOut(m.Lender), Holder: holderOut(m.Holder, now),
	}
}

func applicationIn(a peers.ApplicationSlots, now time.Time) (routing.Application, slots.Message) {
	return routing.Application{Namespace: a.Namespace, Deployment: a.Deployment},
		slots.Message{Lender: lenderIn(a.Lender), Holder: holderIn(a.Holder, now)}
}
