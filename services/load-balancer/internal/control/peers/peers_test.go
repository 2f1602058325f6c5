package peers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/gen/peers"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

var fib = routing.Application{Namespace: "default", Deployment: "fib"}

func member(name string) slots.Member {
	return slots.Member{ID: slots.ID{Name: name, Started: 1_700_000_000_123_456_789}, Address: name + ":1", Version: "e.7", Leaving: name == "b"}
}

// entire has every field of a message.
func entire(now time.Time) slots.Message {
	b := slots.Ballot{Number: 3, Owner: member("a").ID}
	ticket := slots.Ticket{ID: 9, Arrived: now.Add(-1500 * time.Millisecond), Key: math.MaxUint64, Pin: 5}
	slot := slots.Slot{Ticket: 4, Pod: "p"}
	return slots.Message{
		Lender: &slots.LenderPart{
			Ballot: b, Phase: slots.Lending, Session: 2, Taken: 8, Again: true,
			Grants: []slots.Grant{{Number: 1, Ticket: 2, Pod: "p"}},
		},
		Holder: &slots.HolderPart{
			Ballot: b, Refused: true, Highest: b, Owner: member("a"), Session: 4, Confirmed: 6, Avoid: []string{"q"},
			Ops: []slots.Op{{Number: 1, Ask: &ticket}, {Number: 2, Done: 7}, {Number: 3, Snapshot: &slots.Snapshot{
				Held: []slots.Slot{slot}, Waiting: []slots.Ticket{ticket}, Top: 9, Doubts: []slots.Ballot{b}, Owners: []slots.Member{member("b")}, Unclear: true,
				Longest: 2 * time.Second,
				Ledger: &slots.Ledger{
					Ballot: b, Holders: []slots.Holding{{Member: member("b"), Slots: []slots.Slot{slot}}},
					Resting: []slots.Rest{{Pod: "p", Until: now.Add(time.Minute)}},
				},
			}}},
		},
	}
}

func TestMessages_ComeAsTheyWentAndTimesAsAges(t *testing.T) {
	now := time.Unix(1000, 0)
	text, err := json.Marshal(applicationOut(fib, entire(now), now))
	if err != nil {
		t.Fatal(err)
	}
	var in peers.ApplicationSlots
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour) // another clock
	app, got := applicationIn(in, later)
	if diff := cmp.Diff(entire(later), got); diff != "" || app != fib {
		t.Errorf("%v (-want +got):\n%s", app, diff)
	}
}

func TestDuration_IsATimeWhateverIsSaid(t *testing.T) {
	for _, c := range []struct {
		ms   float64
		want time.Duration
	}{{-1, 0}, {0, 0}, {1.5, 1500 * time.Microsecond}, {math.Inf(1), longestTime}, {math.NaN(), 0}, {1e300, longestTime}} {
		if got := duration(c.ms); got != c.want {
			t.Errorf("%v ms is %v, want %v", c.ms, got, c.want)
		}
	}
}

// FuzzExchange: nothing that comes makes the handler fail.
func FuzzExchange(f *testing.F) {
	now := time.Unix(1000, 0)
	seed, err := json.Marshal(peers.SlotsExchange{
		From: memberOut(member("b")), To: idOut(member("a").ID), Applications: []peers.ApplicationSlots{applicationOut(fib, entire(now), now)},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{}`))
	p := newPeers()
	p.Attach(&desk{self: member("a")})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body)))
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	})
}

// desk is one whose every part is noted.
type desk struct {
	self slots.Member

	mu    sync.Mutex
	due   slots.Message
	heard []slots.Message
	words int
	ended []string
	other []slots.Member
	ask   bool
}

func (d *desk) Self() slots.Member { return d.self }

func (d *desk) Standing() dispatch.Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return dispatch.Standing{Shares: true, Seated: true, Others: d.other, AskWord: d.ask}
}

func (d *desk) Heard(slots.Member, bool) {}

func (d *desk) Word(slots.Member, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.words++
}

func (d *desk) Ended(from slots.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, from.Name)
}

func (d *desk) Hear(_ slots.Member, _ routing.Application, m slots.Message, answers bool) slots.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, m)
	if answers {
		return slots.Message{}
	}
	return d.due
}

func (d *desk) Due(routing.Application, slots.ID) slots.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.due
}

func (d *desk) Tick() {}

func newPeers() *Peers {
	return New(Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), PollAnew: func() {}})
}

// pair are two whose messages really go; b answers at a server.
func pair(t *testing.T) (a *Peers, da, db *desk) {
	t.Helper()
	a, b := newPeers(), newPeers()
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	to := member("b")
	to.Address = server.Listener.Addr().String()
	now := time.Unix(1000, 0)
	da = &desk{self: member("a"), due: entire(now), other: []slots.Member{to}}
	db = &desk{self: to, due: slots.Message{Lender: &slots.LenderPart{Phase: slots.Gathering}}}
	a.Attach(da)
	b.Attach(db)
	return a, da, db
}

func TestPeers_CarryWhatIsDueAndTheAnswer(t *testing.T) {
	a, da, db := pair(t)
	go a.Run(t.Context())
	testwait.Until(t, "the answer", func() bool {
		a.Nudge(fib, db.self)
		da.mu.Lock()
		defer da.mu.Unlock()
		return len(da.heard) > 0
	})
	db.mu.Lock()
	defer db.mu.Unlock()
	if len(db.heard) == 0 || db.heard[0].Holder == nil || da.heard[0].Lender.Phase != slots.Gathering {
		t.Errorf("it heard %+v, and was answered %+v", db.heard, da.heard)
	}
}

func TestPeers_AskForTheOthersWordAndTellTheirEnd(t *testing.T) {
	a, da, db := pair(t)
	da.ask = true
	go a.Run(t.Context())
	testwait.Until(t, "the word", func() bool {
		da.mu.Lock()
		defer da.mu.Unlock()
		return da.words > 0
	})
	a.Announce(t.Context(), true)
	db.mu.Lock()
	defer db.mu.Unlock()
	if len(db.ended) != 1 || db.ended[0] != "a" {
		t.Errorf("ended are %v", db.ended)
	}
}

func TestServer_RefusesWhatIsNotMeantForIt(t *testing.T) {
	p := newPeers()
	p.Attach(&desk{self: member("a")})
	for _, c := range []struct {
		name string
		in   peers.SlotsExchange
		want int
	}{
		{"another life", peers.SlotsExchange{From: memberOut(member("b")), To: peers.BalancerId{Name: "a"}}, http.StatusConflict},
		{"nobody", peers.SlotsExchange{To: idOut(member("a").ID)}, http.StatusBadRequest},
		{"it", peers.SlotsExchange{From: memberOut(member("b")), To: idOut(member("a").ID)}, http.StatusOK},
	} {
		body, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body)))
		if w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
}
