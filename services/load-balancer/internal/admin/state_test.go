package admin

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// picture is a Source with some applications.
type picture struct {
	Settings
	snapshots []dispatch.Snapshot
	waiting   []dispatch.WaitingRoom
	limit     int
}

func (p *picture) Waiting(wanted func(routing.Application) bool, limit int) iter.Seq[dispatch.WaitingRoom] {
	p.limit = limit
	return slices.Values(slices.DeleteFunc(slices.Clone(p.waiting), func(room dispatch.WaitingRoom) bool { return !wanted(room.Application) }))
}

func (p *picture) Snapshots() []dispatch.Snapshot { return p.snapshots }
func (p *picture) Self() Self                     { return Self{} }
func (p *picture) Current() tuning.Settings       { return tuning.Settings{}.OrDefaults() }

// pictured are nine applications in three namespaces; each third is asleep.
func pictured(t *testing.T) (*picture, http.Handler) {
	t.Helper()
	p := &picture{}
	for i := range 9 {
		s := dispatch.Snapshot{Route: routing.Route{State: routing.Awake}}
		s.Route.Application.Namespace, s.Route.Application.Deployment = fmt.Sprint("ns-", i/3), fmt.Sprint("app-", i)
		if i%3 == 0 {
			s.Route.State = routing.Asleep
		}
		p.snapshots = append(p.snapshots, s)
	}
	h, err := Handler(Options{Balancer: "lb", Source: p, Settings: p, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return p, anybody(t, h)
}

// anybody lets everybody through.
func anybody(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	guard, err := NewGuard(GuardOptions{Optional: true})
	if err != nil {
		t.Fatal(err)
	}
	return guard.Wrap(h)
}

func state(t *testing.T, h http.Handler, query url.Values) (status int, body string, s loadbalancer.State) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/loadbalancer/state?"+query.Encode(), http.NoBody))
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, w.Body.String(), s
}

func names(s loadbalancer.State) (out []string) {
	for _, a := range s.Applications {
		out = append(out, a.Namespace+"/"+a.Deployment)
	}
	return out
}

func TestState_PagesOfAnySizeAreAllOfIt(t *testing.T) {
	_, h := pictured(t)
	for _, c := range []struct {
		query string
		want  int
	}{{"", 9}, {"namespace=ns-1", 3}, {"state=Awake", 6}, {"deployment=app-4", 1}, {"namespace=ns-0&deployment=app-4", 0}, {"namespace=ns-0&state=Asleep", 1}} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		_, _, whole := state(t, h, query)
		if len(whole.Applications) != c.want || whole.Metadata != nil {
			t.Fatalf("%q: %v, %+v", c.query, names(whole), whole.Metadata)
		}
		for limit := 1; limit <= 10; limit++ {
			query.Set("limit", fmt.Sprint(limit))
			query.Del("continue")
			var got []string
			for range 20 {
				_, _, page := state(t, h, query)
				if got = append(got, names(page)...); len(page.Applications) > limit {
					t.Fatalf("a page of %d has %d", limit, len(page.Applications))
				}
				if page.Metadata == nil || page.Metadata.Continue == nil {
					break
				}
				if *page.Metadata.RemainingItemCount != int64(c.want-len(got)) {
					t.Fatalf("%q in pages of %d: after %d %d follow", c.query, limit, len(got), *page.Metadata.RemainingItemCount)
				}
				query.Set("continue", *page.Metadata.Continue)
			}
			if diff := cmp.Diff(names(whole), got); diff != "" {
				t.Errorf("%q in pages of %d:\n%s", c.query, limit, diff)
			}
		}
		query.Del("limit")
	}
}

func TestState_RefusesWhatIsNoPlaceOfIt(t *testing.T) {
	p, h := pictured(t)
	_, _, first := state(t, h, url.Values{"limit": {"4"}})
	token := *first.Metadata.Continue
	for name, c := range map[string]struct {
		query  url.Values
		status int
		says   string
	}{
		"another selection": {url.Values{"state": {"Awake"}, "continue": {token}}, 400, "the same selection"},
		"no token":          {url.Values{"continue": {"abc"}}, 400, `"field":"continue"`},
		"another version":   {url.Values{"continue": {"Mng"}}, 410, "begin the list anew"},
		"too large a page":  {url.Values{"limit": {"1001"}}, 400, "from 0 to 1000"},
		"no state":          {url.Values{"state": {"a b"}}, 400, `"field":"state"`},
	} {
		if status, body, _ := state(t, h, c.query); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// An application that has gone meanwhile, be it the one at the place, keeps no other one away.
	p.snapshots = append(p.snapshots[:2:2], p.snapshots[4:]...)
	if _, _, rest := state(t, h, url.Values{"continue": {token}}); len(rest.Applications) != 5 || rest.Applications[0].Deployment != "app-4" || rest.Metadata == nil {
		t.Errorf("the rest is %v", names(rest))
	}
}
