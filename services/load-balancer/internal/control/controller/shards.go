package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// A controller may divide its applications into shards, each led by another replica, with versions of its
// own. Its routes are then followed shard by shard, and are one picture here.
//
// How many there are the controller says with every answer. Who asks for no shard is told of all of them at
// once, and it is from there that the shards are followed; who asks for one and hears of another number of
// them begins anew with that. What was held until then stays, and goes to the new ones with its digest.

// unknownVersion stands in a version for a shard of which nothing was heard yet.
const unknownVersion = "-"

// layoutError is that the controller has another number of shards than it was asked for.
type layoutError struct{ shards int } // 1: none; 0: it does not say

func (e *layoutError) Error() string {
	if e.shards == 0 {
		return "the controller has not the shards that it was asked for"
	}
	return fmt.Sprintf("the controller has %d shards", e.shards)
}

var errShard = errors.New("the routes are those of a shard that was not asked for")

// layout tells whether a part of an answer is of the shard that was asked for, of so many. An answer that is
// not is not taken.
func (s *source) layout(line *autoscaler.RoutesUpdate) error {
	shards := max(int(value(line.Shards)), 1)
	switch {
	case shards > shard.Max:
		return errShard
	case s.shards > 1 && shards != s.shards:
		return &layoutError{shards}
	case s.shards > 1 && (line.Shard == nil || int(*line.Shard) != s.shard), s.shards == 1 && line.Shard != nil:
		return errShard
	}
	return nil
}

// divide makes the sources of so many shards, with what others held.
func divide(held []*source, shards int) []*source {
	list := make([]*source, shards)
	for i := range list {
		one := newSource()
		one.shard, one.shards = i, shards
		list[i] = &one
	}
	for _, s := range held {
		for app, hash := range s.hashes {
			list[shard.Of(app.Namespace, shards)].hold(app, hash, false)
		}
	}
	return list
}

// follow follows the sources until ctx ends, or until the controller has another number of shards, which is
// returned.
func (c *Client) follow(ctx context.Context, fleet Fleet, settings Settings, sources []*source) (shards int) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	whole := newPicture(fleet, len(sources))
	var running sync.WaitGroup
	for _, s := range sources {
		f := &follower{c: c, picture: whole, settings: settings, source: s, log: c.o.Log, moved: end}
		if s.shards > 1 {
			f.log = f.log.With("shard", s.shard)
		}
		running.Go(func() {
			defer c.link.follow(f)()
			f.run(ctx)
		})
	}
	running.Wait()
	if other, ok := errors.AsType[*layoutError](context.Cause(ctx)); ok {
		return max(other.shards, 1)
	}
	return len(sources)
}

// picture makes one table of what the shards say: changes of one are handed on as they come, with a version
// that is the versions of all.
type picture struct {
	fleet Fleet

	mu       sync.Mutex // one change at a time is handed on
	versions []string
	lists    [][]routing.Balancer // of those that take part, as each shard has it; none is not known
	asked    []time.Time          // when what was last heard of each was asked for
	silent   []bool               // shards whose last exchange failed
}

func newPicture(fleet Fleet, shards int) *picture {
	return &picture{
		fleet: fleet, versions: slices.Repeat([]string{unknownVersion}, shards), lists: make([][]routing.Balancer, shards),
		asked: make([]time.Time, shards), silent: make([]bool, shards),
	}
}

// apply hands on a change of a shard.
func (p *picture) apply(shard int, u routing.Update) (lost []routing.Application) {
	if len(p.versions) == 1 {
		return p.fleet.Apply(u)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions[shard], p.asked[shard] = u.Version, u.Asked
	said := u.Balancers != nil || u.Anew
	if said {
		p.lists[shard] = u.Balancers
	}
	// While it is not known who takes part, that is said with each change: nobody is to be missed in a version
	// in which nobody was named.
	if all := p.balancers(); said || len(all) == 0 {
		u.Balancers = all
	}
	u.Version, u.Asked = strings.Join(p.versions, " "), slices.MinFunc(p.asked, time.Time.Compare)
	return p.fleet.Apply(u)
}

// went notes how an exchange about a shard went, and tells whether that says something of the controller: one
// shard that nobody answers for does not, while others are followed.
func (p *picture) went(shard int, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent[shard] = err != nil
	return err == nil || !slices.Contains(p.silent, false)
}

// balancers are those that any shard names. While one does not know, nobody is gone: then it is nobody.
func (p *picture) balancers() []routing.Balancer {
	all := []routing.Balancer{}
	for _, list := range p.lists {
		if len(list) == 0 {
			return []routing.Balancer{}
		}
		for _, b := range list {
			i, found := slices.BinarySearchFunc(all, b.Name, func(have routing.Balancer, name string) int { return cmp.Compare(have.Name, name) })
			switch {
			case !found:
				all = slices.Insert(all, i, b)
			case b.StartedAt.After(all[i].StartedAt): // of a later life
				all[i] = b
			}
		}
	}
	return all
}
