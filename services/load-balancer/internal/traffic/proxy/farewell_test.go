package proxy

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/websocket"
)

const (
	clientText  = "\x81\x85\x01\x02\x03\x04igopn" // hello, masked
	clientFirst = "\x01\x82\x01\x02\x03\x04ig"    // the beginning of a message
	clientClose = "\x88\x82\x01\x02\x03\x04\x02\xeb"
	podText     = "\x81\x05hello"
	podFirst    = "\x01\x02he"
	podPing     = "\x89\x00"
	podLast     = "\x80\x03llo"
	podClose    = "\x88\x02\x03\xe9"
	notice      = 30 * time.Second
)

var goingAway = string(websocket.AppendClose(nil, websocket.GoingAway, why))

// isClosePod tells whether it is the frame that closes, masked.
func isClosePod(frame string) bool {
	return len(frame) == len(goingAway)+4 && frame[:2] == string([]byte{0x88, 0x80 | goingAway[1]}) &&
		frame == string(websocket.AppendMaskedClose(nil, [4]byte([]byte(frame[2:6])), websocket.GoingAway, why))
}

// sendAway begins to ask, and returns what it returns.
func (j *joinedSides) sendAway(done <-chan struct{}) <-chan int {
	asked := make(chan int, 1)
	go func() { asked <- j.SendAway(done, notice) }()
	synctest.Wait()
	return asked
}

// after lets some of the time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// farewell runs a test of a WebSocket in virtual time, and sees that all of it ends well.
func farewell(t *testing.T, run func(j *joinedSides)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		j.begin()
		synctest.Wait()
		run(j)
		<-j.done
		j.settled()
		if r := j.log.last(); r.Error != "" {
			t.Errorf("the log has %+v", r)
		}
		time.Sleep(notice) // until all is asked
	})
}

func (j *joinedSides) says(s *side, text string) {
	s.says <- part{text: text}
	synctest.Wait()
}

func (j *joinedSides) ends(s *side) {
	close(s.says)
	synctest.Wait()
}

func TestSendAway_BothSidesCloseInOrder(t *testing.T) {
	farewell(t, func(j *joinedSides) {
		j.says(j.p, podText)
		asked := j.sendAway(nil)
		if got := j.c.text(); got != podText+goingAway {
			j.tb.Errorf("the client has %q", got)
		}
		j.says(j.p, podText) // it was on its way: there is no place for it
		j.says(j.c, clientText+clientClose)
		if got := j.p.text(); got != clientText+clientClose {
			j.tb.Errorf("the pod has %q", got)
		}
		if j.c.ended {
			j.tb.Error("the client's side ends before the pod has closed")
		}
		j.says(j.p, podText+podClose)
		if got := j.c.text(); got != podText+goingAway || !j.c.ended || j.p.ended {
			j.tb.Errorf("the client has %q, ended %v and %v", got, j.c.ended, j.p.ended)
		}
		j.ends(j.c)
		j.ends(j.p)
		if got := j.p.text(); got != clientText+clientClose || !j.p.ended {
			j.tb.Errorf("in the end the pod has %q", got)
		}
		if n := <-asked; n != 1 {
			j.tb.Errorf("%d were asked", n)
		}
		if r := j.log.last(); r.RequestBytes != int64(len(clientText+clientClose)) || r.ResponseBytes != int64(len(podText+goingAway)) {
			j.tb.Errorf("the log has %+v", r)
		}
	})
}

func TestSendAway_AMessageIsNotCutUnlessTimeIsShort(t *testing.T) {
	t.Run("it ends in time", func(t *testing.T) {
		farewell(t, func(j *joinedSides) {
			j.says(j.p, podFirst)
			j.sendAway(nil)
			j.says(j.p, podPing)
			if got := j.c.text(); got != podFirst+podPing {
				j.tb.Errorf("within a message the client has %q", got)
			}
			j.says(j.p, podLast+podText)
			if got := j.c.text(); got != podFirst+podPing+podLast+goingAway {
				j.tb.Errorf("behind it the client has %q", got)
			}
			j.ends(j.p)
			j.ends(j.c)
		})
	})
	t.Run("it does not", func(t *testing.T) {
		farewell(t, func(j *joinedSides) {
			j.says(j.p, podFirst)
			j.sendAway(nil)
			after(notice/3*2 - 1)
			if got := j.c.text(); got != podFirst {
				j.tb.Errorf("the client has %q", got)
			}
			after(1)
			if got := j.c.text(); got != podFirst+goingAway {
				j.tb.Errorf("after two thirds the client has %q", got)
			}
			j.ends(j.p)
			j.ends(j.c)
		})
	})
	t.Run("and a frame is never cut", func(t *testing.T) {
		farewell(t, func(j *joinedSides) {
			j.says(j.p, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00") // 64 KiB, by eight bytes of length
			j.sendAway(nil)
			after(notice / 6 * 5)
			large := strings.Repeat("\x88", 1<<16)
			j.says(j.p, large[1:])
			if got := j.c.text(); strings.Contains(got, goingAway) || len(got) != 10+1<<16-1 {
				j.tb.Errorf("within a frame the client has %d bytes", len(got))
			}
			j.says(j.p, large[:1]+podText)
			if got := j.c.text(); !strings.HasSuffix(got, "\x88"+goingAway) || len(got) != 10+1<<16+len(goingAway) {
				j.tb.Errorf("behind it the client has %d bytes", len(got))
			}
			j.ends(j.p)
			j.ends(j.c)
		})
	})
}

// open is a WebSocket of the same load balancer, with two more sides.
func (j *joinedSides) open() (client, pod *side, ended <-chan struct{}) {
	client, pod = newSide(), newSide()
	t := &tunnel{idle: time.Hour, now: time.Now, touch: func(time.Time) {}, caught: j.caught}
	t.join(client, pod, true)
	j.active.add(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer j.active.remove(t)
		_, _, _ = t.run()
	}()
	return client, pod, done
}

func TestSendAway_TheyAreAskedOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		var clients, pods []*side
		for range 3 {
			c, p, _ := j.open()
			clients, pods = append(clients, c), append(pods, p)
		}
		synctest.Wait()
		asked := j.sendAway(nil)
		for i := range 3 {
			n := 0
			for _, c := range clients {
				if c.text() == goingAway {
					n++
				}
			}
			if n != i+1 {
				t.Errorf("after %d ninths of the time %d are asked", i, n)
			}
			after(notice / 9)
		}
		for i := range clients {
			j.ends(clients[i])
			j.ends(pods[i])
		}
		if n := <-asked; n != 3 {
			t.Errorf("%d were asked", n)
		}
	})
}

func TestSendAway_APodWhoseClientDoesNotCloseIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		before string // of the client, in the last moment
		pod    bool   // is told
	}{
		"it says nothing":        {"", true},
		"it talks on":            {clientText, true},
		"it is within a message": {clientFirst, true},
		"it is within a frame":   {clientText[:7], false},
		"it has closed":          {clientClose, false},
	} {
		t.Run(name, func(t *testing.T) {
			farewell(t, func(j *joinedSides) {
				j.sendAway(nil)
				if test.before != "" {
					j.says(j.c, test.before)
				}
				after(notice/6*5 - 1)
				if got := j.p.text(); got != test.before {
					j.tb.Errorf("the pod has %q", got)
				}
				after(1)
				got, ok := strings.CutPrefix(j.p.text(), test.before)
				if !ok || isClosePod(got) != test.pod || !test.pod && got != "" {
					j.tb.Errorf("after five sixths the pod has %q", got)
				}
				j.says(j.p, podText+podClose) // which has nowhere to go
				if !j.c.ended || j.c.text() != goingAway {
					j.tb.Errorf("the client has %q, ended %v", j.c.text(), j.c.ended)
				}
				if test.pod {
					j.says(j.c, clientText+clientClose)
					if more := j.p.text(); more != test.before+got || !j.p.ended {
						j.tb.Errorf("behind its end the pod has %q, ended %v", more, j.p.ended)
					}
				}
				j.ends(j.c)
				j.ends(j.p)
			})
		})
	}
}

func TestSendAway_WhoLeavesWithoutClosingIsClosedFor(t *testing.T) {
	farewell(t, func(j *joinedSides) {
		j.sendAway(nil)
		j.says(j.c, clientText)
		j.ends(j.c)
		if got, ok := strings.CutPrefix(j.p.text(), clientText); !ok || !isClosePod(got) || !j.p.ended {
			j.tb.Errorf("the pod has %q, ended %v", got, j.p.ended)
		}
		j.ends(j.p)
	})
	farewell(t, func(j *joinedSides) { // but within a frame there is no place
		j.sendAway(nil)
		j.says(j.c, clientText[:3])
		j.ends(j.c)
		if got := j.p.text(); got != clientText[:3] || !j.p.ended {
			j.tb.Errorf("the pod has %q, ended %v", got, j.p.ended)
		}
		j.ends(j.p)
	})
}

func TestSendAway_WhoHasClosedIsNotAsked(t *testing.T) {
	farewell(t, func(j *joinedSides) {
		j.says(j.p, podClose)
		j.says(j.c, clientClose)
		j.sendAway(nil)
		after(notice)
		if j.c.text() != podClose || j.p.text() != clientClose {
			j.tb.Errorf("the client has %q, the pod %q", j.c.text(), j.p.text())
		}
		j.ends(j.p)
		j.ends(j.c)
	})
}

func TestSendAway_OtherProtocolsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, strings.ReplaceAll(switching, "WebSocket", "echo"))
		go func() {
			defer close(j.done)
			j.Serve(j.client, request(t, strings.ReplaceAll(upgrading, "websocket", "echo")))
		}()
		synctest.Wait()
		asked := j.sendAway(nil)
		j.says(j.p, "any")
		after(notice)
		j.says(j.c, "any")
		if n := <-asked; n != 0 || j.c.text() != "any" || j.p.text() != "any" {
			t.Errorf("%d were asked; %q and %q", n, j.c.text(), j.p.text())
		}
		j.ends(j.p)
		j.ends(j.c)
		<-j.done
		if j.c.text() != "any" || j.p.text() != "any" {
			t.Errorf("in the end %q and %q", j.c.text(), j.p.text())
		}
	})
}

func TestSendAway_WhoComesMeanwhileIsAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		j.sendAway(nil)
		j.begin()
		synctest.Wait()
		if got := j.c.text(); got != goingAway {
			t.Errorf("the client has %q", got)
		}
		j.ends(j.p)
		j.ends(j.c)
		<-j.done
		time.Sleep(notice)
	})
}

func TestSendAway_EndsWithTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		j.begin()
		synctest.Wait()
		j.p.refuses = errors.New("reset") // the pod cannot be told
		done := make(chan struct{})
		asked := j.sendAway(done)
		close(done)
		if n := <-asked; n > 1 {
			t.Errorf("%d were asked", n)
		}
		if cut := j.Drain(done); cut != 1 {
			t.Errorf("%d were cut", cut)
		}
		<-j.done
		j.settled()
	})
}

func TestSendAway_FaultsEndOneTunnel(t *testing.T) {
	for name, happen := range map[string]func(j *joinedSides){
		"the client takes nothing":        func(j *joinedSides) { j.c.refuses = errors.New("reset") },
		"a fault where the client's told": func(j *joinedSides) { j.c.breaks = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, switching)
				j.begin()
				synctest.Wait()
				happen(j)
				j.sendAway(nil)
				<-j.done
				j.settled()
				if !j.c.isClosed() || !j.p.isClosed() {
					t.Errorf("closed %v and %v", j.c.isClosed(), j.p.isClosed())
				}
				if faults := map[bool]int{true: 1}[j.c.breaks]; j.faults() != faults {
					t.Errorf("%d faults, want %d", j.faults(), faults)
				}
				time.Sleep(notice)
			})
		})
	}
}

func TestSendAway_AClientThatTakesNothingHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		slow, pod, ended := j.open()
		other, otherPod, otherEnded := j.open()
		slow.stuck = make(chan struct{})
		j.says(pod, podText) // its write goes on
		asked := j.sendAway(nil)
		after(notice / 3)
		if got := other.text(); got != goingAway {
			t.Errorf("the other client has %q", got)
		}
		close(slow.stuck)
		synctest.Wait()
		if got := slow.text(); got != podText+goingAway {
			t.Errorf("when it takes again the client has %q", got)
		}
		for _, s := range []*side{slow, pod, other, otherPod} {
			j.ends(s)
		}
		<-ended
		<-otherEnded
		<-asked
	})
}
