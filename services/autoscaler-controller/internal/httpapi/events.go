package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
)

// News remembers what changed, for the stream of events.
type News interface {
	Since(p news.Position, ordinary bool, most int) (news.Update, <-chan struct{})
	Now() news.Position
	// OnRemoved has f called with each application that goes, before anybody who follows is told of it.
	OnRemoved(f func(fleet.Key))
}

const (
	eventsPath = "/v1/events"
	eventsType = "text/event-stream"
	// What is sent at a time; what is only traffic is sent so seldom, and so much of it, that a stream of ten
	// thousand busy applications costs no more than one of five hundred.
	eventsAtOnce   = 500
	ordinaryEvery  = time.Second
	eventsApart    = 20 * time.Millisecond  // what happens within it goes together
	looksApart     = 100 * time.Millisecond // at least, while things happen all the time: a pod that starts is seen ten times in a second
	maxStreams     = 256                    // of one replica
	maxStreamsOfMe = 8                      // of one caller
)

// streamsFull is what is said where there are no more.
var streamsFull = fmt.Sprintf("%d streams of events are served by this replica, and no more", maxStreams)

// streamsFullOf is what is said where there are no more of a caller.
func streamsFullOf(name string) string {
	return fmt.Sprintf("%s follows %d streams of events already, and may no more: end one", cmp.Or(name, "one caller"), maxStreamsOfMe)
}

// WatchEvents answers with a stream: the strict server's answer would have an end.
func (s *server) WatchEvents(w http.ResponseWriter, r *http.Request, params autoscaler.WatchEventsParams) {
	if err := s.api.streamEvents(w, r, params); err != nil {
		s.api.refuse(w, r, err)
	}
}

// streamEvents sends what changes, as it news. An error is for an answer that has not begun.
func (a *api) streamEvents(w http.ResponseWriter, r *http.Request, params autoscaler.WatchEventsParams) error {
	if missing := a.Missing(); missing != "" {
		return fault.New(fault.Unavailable, "the picture is not whole yet: %s", missing).After(time.Second)
	}
	if err := a.isEnding(); err != nil {
		return err
	}
	wait, err := time.ParseDuration(value(params.Wait, "60s"))
	if err != nil {
		return fault.New(fault.Invalid, "").With("wait", *params.Wait, "whole seconds from 0s to 60s").Because(err)
	}
	only := value(params.Namespace, "")
	sees, err := a.seen(r.Context(), only, a.Fleet.Namespaces)
	if err != nil {
		return err
	}
	who := a.watcher(r)
	if err := a.streams.enter(who, streamsFullOf(a.granted(r.Context()).Caller.Name), streamsFull); err != nil {
		return err
	}
	defer a.streams.leave(who)
	a.Meter.Following(1)
	defer a.Meter.Following(-1)
	leader, moved := a.Leadership.Leader()
	if leader != "" {
		wait = min(wait, standInTime)
	}
	f := follower{api: a, ctx: r.Context(), events: newEvents(w), shows: func(namespace string) bool {
		return (only == "" || namespace == only) && (sees == nil || sees[namespace])
	}}
	defer f.events.end()
	if last := r.Header.Get("Last-Event-ID"); last == "" {
		f.at = a.News.Now()
	} else { // what is no position is one that is not known here
		f.at, _ = news.Parse(last)
	}
	if f.events.begin(f.at) != nil {
		return nil
	}
	f.follow(time.After(wait), moved)
	return nil
}

// follower is one stream.
type follower struct {
	api    *api
	ctx    context.Context //nolint:containedctx // of the request
	events *events
	shows  func(namespace string) bool
	at     news.Position
}

// follow sends what changes until one of the ends comes.
func (f *follower) follow(over <-chan time.Time, moved <-chan struct{}) {
	pulse := &f.api.pulse
	pulse.enter()
	defer pulse.leave()
	quiet := time.NewTicker(heartbeatTime)
	defer quiet.Stop()
	_, told := pulse.next()
	for told--; ; { // what traffic there is is told at first
		beat, traffic := pulse.next()
		update, _ := f.api.News.Since(f.at, traffic != told, eventsAtOnce)
		sent, err := f.send(&update)
		if err != nil {
			return // whoever asked has gone, or reads too slowly
		}
		f.at = update.Next
		if update.Hurry {
			continue
		}
		if told = traffic; update.More {
			pulse.behind.Store(true)
		}
		if sent {
			quiet.Reset(heartbeatTime)
		}
		select {
		case <-beat:
		case <-quiet.C:
			if f.events.comment(f.at) != nil {
				return
			}
		case <-over:
			return
		case <-moved:
			return
		case <-f.api.Ending:
			return
		case <-f.ctx.Done():
			return
		}
	}
}

// send sends news, as far as they are for this follower, all at once.
func (f *follower) send(update *news.Update) (sent bool, err error) {
	if update.Reset {
		f.events.add("reset", []byte("{}"))
	}
	for i, item := range update.Items {
		if i > 0 && i%eventsAtOnce == 0 {
			if err := f.events.send(update.Next); err != nil {
				return true, err
			}
		}
		if !f.shows(item.Key.Namespace) {
			continue
		}
		switch item.Kind {
		case news.Decided:
			f.events.add("decision", f.api.told.decision(item.Record))
		case news.Removed:
			f.events.encode("removed", autoscaler.ApplicationKey{Namespace: item.Key.Namespace, Deployment: item.Key.Deployment})
		case news.Changed:
			if one := f.api.told.of(f.api, item); !one.known(f.at) {
				f.events.add("application", one.data)
			}
		}
	}
	return f.events.some(), f.events.send(update.Next)
}
