package controller

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// source is what is held of a controller's routes, and how far they were followed. Several may be merged
// into one table, each with applications of its own: what goes is said by name.
type source struct {
	shard, shards int // which it is, of how many; without shards it is the only one

	version string // "": everything is asked for
	streams bool   // its last answer was a stream
	hashes  map[routing.Application]uint64
	unknown int // of these, how many have no hash
	digest  [mostBuckets]uint64
}

// The numbers of buckets that a digest may have; see the contract. One for some tens of applications
// has a new leader send few that it need not.
const (
	leastBuckets = 64
	mostBuckets  = 512
	perBucket    = 16
)

func newSource() source { return source{shards: 1, hashes: map[routing.Application]uint64{}} }

// ask is what the controller is asked, and how many buckets the digest has; 0: there is none.
func (s *source) ask() (params *autoscaler.WatchRoutesParams, buckets int) {
	params = &autoscaler.WatchRoutesParams{Stream: new(true)}
	if !s.streams {
		params.Wait = new(fmt.Sprintf("%ds", int(pollWait.Seconds())))
	}
	if s.shards > 1 {
		params.Shard = new(int32(s.shard)) //nolint:gosec // G115: at most 63
	}
	if s.version != "" {
		params.After = new(s.version)
	}
	if len(s.hashes) == 0 || s.unknown > 0 {
		return params, 0
	}
	for buckets = leastBuckets; buckets < mostBuckets && buckets*perBucket < len(s.hashes); buckets *= 2 {
	}
	params.Have = new(s.have(buckets))
	return params, buckets
}

// have is the digest in so many buckets.
func (s *source) have(buckets int) string {
	folded := make([]uint64, buckets)
	for i, d := range s.digest {
		folded[i%buckets] ^= d
	}
	raw := make([]byte, 0, 8*buckets)
	for _, d := range folded {
		raw = binary.BigEndian.AppendUint64(raw, d)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// bucket is the bucket of an application: FNV-1a of its name, modulo their number.
func bucket(app routing.Application, buckets int) int {
	h := uint64(14695981039346656037)
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	add(app.Namespace)
	add("/")
	add(app.Deployment)
	return int(h % uint64(buckets)) //nolint:gosec // buckets is 64 to 512
}

// hold notes that a route is held; with remove, that it is not any more.
func (s *source) hold(app routing.Application, hash uint64, remove bool) {
	place := &s.digest[bucket(app, mostBuckets)]
	before, known := s.hashes[app]
	if *place ^= before; known && before == 0 {
		s.unknown--
	}
	if remove {
		delete(s.hashes, app)
		return
	}
	if *place ^= hash; hash == 0 {
		s.unknown++
	}
	s.hashes[app] = hash
}

// take notes a whole change, and returns what is new in it.
func (s *source) take(c *change) routing.Update {
	u := routing.Update{
		Version: c.version, Anew: c.complete || c.differs != nil, Routes: c.routes, Removed: c.removed, Balancers: c.balancers, Asked: c.asked,
	}
	if u.Anew {
		u.Routes, u.Removed = s.differing(c)
	}
	for _, app := range u.Removed {
		s.hold(app, 0, true)
	}
	for i := range c.routes {
		s.hold(c.routes[i].Application, c.hashes[i], false)
	}
	s.version = c.version
	return u
}

// differing is what is new in a change that names all there is, or all there is of some buckets. What is
// held already is not handed on: nobody is to be disturbed by a new leader.
func (s *source) differing(c *change) (routes []routing.Route, gone []routing.Application) {
	listed := make(map[routing.Application]bool, len(c.routes))
	for i := range c.routes {
		r := &c.routes[i]
		listed[r.Application] = true
		if held := s.hashes[r.Application]; held == 0 || held != c.hashes[i] || saysLoads(r) {
			routes = append(routes, *r)
		}
	}
	for app := range s.hashes {
		if !listed[app] && (c.complete || c.differs[bucket(app, c.buckets)]) {
			gone = append(gone, app)
		}
	}
	return routes, gone
}

// saysLoads tells whether the route has news that its hash says nothing of.
func saysLoads(r *routing.Route) bool {
	return slices.ContainsFunc(r.Endpoints, func(e routing.Endpoint) bool { return e.Load != nil })
}

// change is one change of the routes, of the parts that have come so far.
type change struct {
	asked   time.Time
	buckets int // of the digest that was asked with; 0: there was none

	version         string
	complete        bool
	differs         []bool // by bucket: what is held of it and is not in routes is gone; nil: it is no answer to a digest
	routes          []routing.Route
	hashes          []uint64 // of routes, one each; 0 is none
	removed         []routing.Application
	balancers       []routing.Balancer
	settings        *tuning.Settings // nil: it has none
	settingsVersion uint64           // 0: a controller older than versions
}

var errBuckets = errors.New("the routes name buckets that were not asked with")

// begun tells whether a part has come.
func (c *change) begun() bool { return c.version != "" }

// add adds a part.
func (c *change) add(line *autoscaler.RoutesUpdate) error {
	part := update(line)
	c.version, c.complete = line.Version, line.Complete
	if line.Buckets != nil {
		c.differs = make([]bool, c.buckets)
		for _, b := range *line.Buckets {
			if b < 0 || int(b) >= c.buckets {
				return errBuckets
			}
			c.differs[b] = true
		}
	}
	c.routes, c.removed = append(c.routes, part.Routes...), append(c.removed, part.Removed...)
	for i := range line.Applications {
		c.hashes = append(c.hashes, hash(line.Applications[i].Hash))
	}
	if part.Balancers != nil {
		c.balancers = part.Balancers
	}
	if line.Settings != nil {
		c.settings, c.settingsVersion = new(balancerSettings(line.Settings)), settingsVersion(line.SettingsVersion)
	}
	return nil
}

// nothing tells whether nothing is new.
func (c *change) nothing() bool {
	return !c.complete && c.differs == nil && len(c.routes)+len(c.removed) == 0 && c.balancers == nil
}

// hash is a route's; 0 is none, or one that is not understood.
func hash(text *string) uint64 {
	n, err := strconv.ParseUint(value(text), 16, 64)
	if err != nil {
		return 0
	}
	return n
}
