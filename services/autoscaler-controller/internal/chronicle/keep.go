package chronicle

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

// load puts what the leader before kept before what was seen; false: the term ended first.
func (c *Chronicle) load(ctx context.Context) bool {
	for {
		older := map[fleet.Key]*history.History{}
		reading, cancel := context.WithTimeout(ctx, loadTimeout)
		err := c.Store.Load(reading, func(k fleet.Key, kept []byte) {
			if !c.Ours(k.Namespace) {
				return
			}
			h, err := history.Decode(kept)
			if err != nil { // it begins anew
				c.Log.WarnContext(ctx, "what is kept of an application's history cannot be read", "namespace", k.Namespace, "deployment", k.Deployment, "error", err)
				return
			}
			older[k] = h
		})
		cancel()
		if ctx.Err() != nil {
			return false
		}
		c.Meter.HistoryLoaded(err)
		if err == nil {
			c.join(older)
			return true
		}
		c.Log.WarnContext(ctx, "the history is not read; it is tried again", "error", err)
		select {
		case <-time.After(loadRetry):
		case <-ctx.Done():
			return false
		}
	}
}

func (c *Chronicle) join(older map[fleet.Key]*history.History) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
	for k, h := range older {
		if one := c.of[k]; one != nil {
			one.history = one.history.Follow(h)
			continue
		}
		c.of[k] = &record{history: h, seen: time.Now()}
	}
}

// save keeps what stands in a place.
func (c *Chronicle) save(ctx context.Context, place int, patience time.Duration) {
	kept, dropped := c.collect(place)
	if len(kept) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.Store.Save(ctx, place, kept)
	c.Meter.HistoryKept(err)
	if err != nil {
		c.Log.WarnContext(ctx, "the history is not kept; it is tried again in some minutes", "place", place, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range dropped {
		if one := c.of[k]; one != nil && one.dropped {
			delete(c.of, k)
		}
	}
}

// collect is what is to be kept in a place, each as large as its share of the room.
func (c *Chronicle) collect(place int) (kept map[fleet.Key][]byte, dropped []fleet.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept = map[fleet.Key][]byte{}
	for k, one := range c.of {
		if c.Store.Place(k) != place {
			continue
		}
		kept[k] = nil
		if one.dropped {
			dropped = append(dropped, k)
		}
	}
	if place == 0 {
		c.cut = 0
	}
	share := min(history.MaxBytes, c.Store.Room()/max(1, c.Shards)/max(1, len(kept)))
	for k := range kept {
		if one := c.of[k]; !one.dropped {
			bytes, cut := one.history.Encode(share)
			if kept[k] = bytes; cut {
				c.cut++
			}
		}
	}
	return kept, dropped
}
