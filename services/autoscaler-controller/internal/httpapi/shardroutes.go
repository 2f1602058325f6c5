package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// shardRoutes is a RoutesUpdate whose routes are not looked into.
type shardRoutes struct {
	Version         string                      `json:"version"`
	Complete        bool                        `json:"complete"`
	Applications    []json.RawMessage           `json:"applications"`
	Removed         []json.RawMessage           `json:"removed"`
	Balancers       *[]autoscaler.LiveBalancer  `json:"balancers,omitempty"`
	Settings        json.RawMessage             `json:"settings,omitempty"`
	SettingsVersion *autoscaler.SettingsVersion `json:"settingsVersion,omitempty"`
	Shards          int                         `json:"shards,omitempty"`
}

// routes gives out the routes of one shard as that has them, and those of all shards to whoever does not
// ask for one: a load balancer that knows nothing of shards, or does not know yet that there are any. It is
// sent everything with every change, and never a stream.
func (s *sharded) routes(w http.ResponseWriter, r *http.Request) {
	i, one, err := s.shardParameter(r)
	switch {
	case err != nil:
		fault.Write(w, r, err)
	case one:
		s.ports[i].ServeHTTP(w, r)
	default:
		s.whole.ServeHTTP(w, r)
	}
}

// merged serves whoever knows no shards. One replica does that for all, the leader of the first shard: a
// version that it gives out stands for those of all shards, and the reports that name it, which come by other
// connections to other replicas, are understood there alone. Where it cannot be reached they are divided
// without one: who is not known to follow the routes is waited for.
func (s *sharded) merged(w http.ResponseWriter, r *http.Request) {
	r = unmarked(r)
	if r.Method == http.MethodPost {
		s.divided(w, r, s.mergedReport)
		return
	}
	s.mergedRoutes(w, r)
}

func (s *sharded) mergedRoutes(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	wait, err := time.ParseDuration(query.Get("wait"))
	if err != nil {
		wait = 30 * time.Second
	}
	parts, bad := s.allRoutes(r)
	if bad == nil && wait > 0 && s.versions.keep(versionsOf(parts)) == query.Get("after") {
		if !s.changes(r, parts, wait) {
			reply(w, shardRoutes{Version: query.Get("after"), Applications: []json.RawMessage{}, Removed: []json.RawMessage{}, Shards: len(parts)})
			return
		}
		parts, bad = s.allRoutes(r)
	}
	if bad != nil {
		bad.pass(w)
		return
	}
	out := mergedRoutes(parts)
	out.Version = s.versions.keep(versionsOf(parts))
	reply(w, out)
}

// allRoutes are all routes of each shard, or the answer of one that refuses.
func (s *sharded) allRoutes(r *http.Request) (parts []shardRoutes, bad *kept) {
	calls := make([]*http.Request, len(s.ports))
	for i := range calls {
		calls[i] = asking(r, "wait=0s")
	}
	answers := s.ask(calls)
	if bad := refused(answers); bad != nil {
		return nil, bad
	}
	parts = make([]shardRoutes, len(answers))
	for i, a := range answers {
		if err := json.Unmarshal(a.Bytes(), &parts[i]); err != nil {
			bad := &kept{header: http.Header{}}
			unreadable(bad, r, err)
			return nil, bad
		}
	}
	return parts, nil
}

// changes waits for a change of any shard's routes; false: there was none for so long.
func (s *sharded) changes(r *http.Request, parts []shardRoutes, wait time.Duration) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	changed := make(chan bool, len(parts))
	for i, part := range parts {
		call := asking(r.WithContext(ctx), "wait="+wait.Truncate(time.Second).String()+"&after="+part.Version)
		go func() {
			calls := make([]*http.Request, len(s.ports))
			calls[i] = call
			var now shardRoutes
			a := s.ask(calls)[i]
			changed <- a.status != http.StatusOK || json.Unmarshal(a.Bytes(), &now) != nil || now.Version != part.Version
		}()
	}
	for range parts {
		if <-changed {
			return true
		}
	}
	return false
}

// asking is the same call with other parameters.
func asking(r *http.Request, query string) *http.Request {
	out := with(r, nil)
	out.URL.RawQuery = query
	return out
}

func versionsOf(parts []shardRoutes) []string {
	versions := make([]string, len(parts))
	for i, p := range parts {
		versions[i] = p.Version
	}
	return versions
}

// mergedRoutes are the routes of all shards. Of the settings, which are the same in all, the newest count.
func mergedRoutes(parts []shardRoutes) shardRoutes {
	out := shardRoutes{Complete: true, Applications: []json.RawMessage{}, Removed: []json.RawMessage{}, Shards: len(parts)}
	for _, p := range parts {
		out.Applications = append(out.Applications, p.Applications...)
		if newer := out.SettingsVersion == nil || p.SettingsVersion != nil && *p.SettingsVersion > *out.SettingsVersion; p.Settings != nil && newer {
			out.Settings, out.SettingsVersion = p.Settings, p.SettingsVersion
		}
	}
	out.Balancers = mergedBalancers(parts)
	return out
}

// mergedBalancers are those that any shard names. While one does not know, all do not.
func mergedBalancers(parts []shardRoutes) *[]autoscaler.LiveBalancer {
	all := []autoscaler.LiveBalancer{}
	for _, p := range parts {
		if p.Balancers == nil || len(*p.Balancers) == 0 {
			return &[]autoscaler.LiveBalancer{}
		}
		for _, b := range *p.Balancers {
			i, found := slices.BinarySearchFunc(all, b.Name, func(have autoscaler.LiveBalancer, name string) int { return strings.Compare(have.Name, name) })
			switch {
			case !found:
				all = slices.Insert(all, i, b)
			case b.StartedAt.After(all[i].StartedAt): // of a later life
				all[i] = b
			}
		}
	}
	return &all
}
