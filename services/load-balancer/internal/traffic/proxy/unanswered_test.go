package proxy

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// How long a tunnel goes on behind what happens; after that nobody says anything.
func TestBeginDrain_AWebSocketDoesNotOutliveItsClientsSideForLong(t *testing.T) {
	const idle = time.Minute // that every tunnel may be silent
	for name, test := range map[string]struct {
		happens   func(j *joinedSides)
		want      time.Duration
		unbounded bool
	}{
		"it has closed before the drain":   {func(j *joinedSides) { j.says(j.c, clientClose); j.BeginDrain() }, closeGrace, false},
		"it has closed long before":        {func(j *joinedSides) { j.says(j.c, clientClose); after(30 * time.Second); j.BeginDrain() }, closeGrace, false},
		"it closes while there is a drain": {func(j *joinedSides) { j.BeginDrain(); j.says(j.c, clientText+clientClose) }, closeGrace, false},
		"it closes and ends":               {func(j *joinedSides) { j.BeginDrain(); j.says(j.c, clientClose); j.ends(j.c) }, closeGrace, false},
		"it ends without closing":          {func(j *joinedSides) { j.BeginDrain(); j.ends(j.c) }, closeGrace, false},
		"it ends later than it closes":     {func(j *joinedSides) { j.BeginDrain(); j.says(j.c, clientClose); after(2 * time.Second); j.ends(j.c) }, closeGrace - 2*time.Second, false},
		"it closes when it is asked to":    {func(j *joinedSides) { j.BeginDrain(); j.sendAway(nil); j.says(j.c, clientClose) }, closeGrace, false},
		"it closes and the pod talks on": {func(j *joinedSides) {
			j.BeginDrain()
			j.says(j.c, clientClose)
			after(time.Second)
			j.says(j.p, podText)
		}, closeGrace - time.Second, false},
		"it goes on":                        {func(j *joinedSides) { j.BeginDrain(); j.says(j.c, clientText) }, idle, true},
		"it closes, and there is no drain":  {func(j *joinedSides) { j.says(j.c, clientClose) }, idle, true},
		"the pod closes, and it never does": {func(j *joinedSides) { j.BeginDrain(); j.says(j.p, podClose) }, idle, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, switching)
				j.begin()
				synctest.Wait()
				test.happens(j)
				began := time.Now()
				<-j.done
				j.settled()
				if took := time.Since(began); took != test.want || !j.c.isClosed() || !j.p.isClosed() {
					t.Errorf("it ended after %v, closed %v and %v", took, j.c.isClosed(), j.p.isClosed())
				}
				if r := j.log.last(); strings.Contains(r.Error, errUnanswered.Error()) == test.unbounded {
					t.Errorf("the log says %q", r.Error)
				}
				time.Sleep(notice)
			})
		})
	}
}

func TestBeginDrain_AWebSocketThatComesMeanwhileIsBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		j.BeginDrain()
		j.begin()
		j.says(j.c, clientClose)
		began := time.Now()
		<-j.done
		if took := time.Since(began); took != closeGrace {
			t.Errorf("it ended after %v", took)
		}
		if cut := j.Drain(nil); cut != 0 {
			t.Errorf("the drain cut %d", cut)
		}
	})
}

func TestBeginDrain_OneWhosePodClosesInTimeEndsWell(t *testing.T) {
	farewell(t, func(j *joinedSides) {
		j.BeginDrain()
		j.says(j.c, clientClose)
		j.ends(j.c)
		after(closeGrace - 1)
		j.says(j.p, podText+podClose)
		if got := j.c.text(); got != podText+podClose {
			j.tb.Errorf("the client has %q", got)
		}
		j.ends(j.p)
	})
}

// Who ends one side of another protocol may go on listening for as long as it likes.
func TestBeginDrain_OtherProtocolsGoOnBehindTheirClientsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, strings.ReplaceAll(switching, "WebSocket", "echo"))
		go func() {
			defer close(j.done)
			j.Serve(j.client, request(t, strings.ReplaceAll(upgrading, "websocket", "echo")))
		}()
		synctest.Wait()
		j.BeginDrain()
		j.ends(j.c)
		after(2 * closeGrace)
		j.says(j.p, "still here")
		if got := j.c.text(); got != "still here" {
			t.Errorf("the client has %q", got)
		}
		j.ends(j.p)
		<-j.done
	})
}

func TestUnanswered_WhatHasEndedIsNotCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u unanswered
		own := errors.New("own")
		cancel := func() { t.Error("it is cancelled") }
		u.drain(cancel)
		u.end(cancel)
		if err := u.finish(own); !errors.Is(err, own) {
			t.Errorf("its end is %v", err)
		}
		u.end(cancel)
		time.Sleep(2 * closeGrace)
		if u.late() {
			t.Error("it is late")
		}
	})
}
