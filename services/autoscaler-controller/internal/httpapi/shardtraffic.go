package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// heading is what of a report is for all shards.
type heading struct {
	Epoch         *string  `json:"epoch"`
	Delta         bool     `json:"delta"`
	RoutesVersion string   `json:"routesVersion"`
	Shards        []object `json:"shards"`
}

// toOne are the fields of a report that a shard is told for itself.
var toOne = []string{"routesVersion", "epoch", "delta"}

// report divides a load balancer's report among all shards. What it says to each of them alone it brings
// along, and what each answers it gets: so any replica can divide any report, and a shard that asks for
// everything leaves the others as they are.
//
// One that knows no shards says everything each time, and one version of the routes for all of them, which
// only the replica knows that has made it: see merged.
func (s *sharded) report(w http.ResponseWriter, r *http.Request, body []byte) {
	parts, _ := s.divide(body, "applications")
	var head heading
	if parts == nil || json.Unmarshal(body, &head) != nil {
		s.ports[0].ServeHTTP(w, r) // which says what is wrong with it
		return
	}
	switch {
	case head.Shards != nil && len(head.Shards) != len(parts), head.Shards == nil && head.Delta:
		reply(w, autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived, Epoch: head.Epoch, Resync: new(true)})
		return
	case head.Shards == nil && head.RoutesVersion != "":
		s.whole.ServeHTTP(w, r)
		return
	}
	for i, part := range parts {
		address(part, head.Shards, i)
	}
	s.deliver(w, r, parts, head.Shards != nil)
}

// address makes a part one that is told to a shard alone.
func address(part object, shards []object, i int) {
	delete(part, "shards")
	for _, name := range toOne {
		delete(part, name)
		if shards == nil {
			continue
		}
		if value, said := shards[i][name]; said {
			part[name] = value
		}
	}
}

// mergedReport divides the report of a load balancer that knows no shards.
func (s *sharded) mergedReport(w http.ResponseWriter, r *http.Request, body []byte) {
	parts, _ := s.divide(body, "applications")
	var head heading
	if parts == nil || json.Unmarshal(body, &head) != nil {
		s.ports[0].ServeHTTP(w, r)
		return
	}
	versions := s.versions.find(head.RoutesVersion)
	for i, part := range parts {
		if address(part, nil, i); versions != nil {
			part.set("routesVersion", versions[i])
		}
	}
	s.deliver(w, r, parts, false)
}

// deliver has each shard told its part, and says what they answer. each tells that who reports can tell one
// shard again what it has not taken; who cannot is refused then, and tells it all to everybody again.
func (s *sharded) deliver(w http.ResponseWriter, r *http.Request, parts []object, each bool) {
	calls := make([]*http.Request, len(parts))
	for i, part := range parts {
		calls[i] = call(r, part)
	}
	answers := s.ask(calls)
	if a := refused(answers); a != nil && (!each || a.status == http.StatusBadRequest || !slices.ContainsFunc(answers, wasTaken)) {
		a.pass(w)
		return
	}
	receipt, err := receiptOf(answers)
	if err != nil {
		unreadable(w, r, err)
		return
	}
	reply(w, receipt)
}

func wasTaken(a *kept) bool { return a.status == http.StatusOK }

// receiptOf is what all shards say together. Of one that has not taken its part that is to be told again.
func receiptOf(answers []*kept) (autoscaler.TrafficReceipt, error) {
	leads, all := true, false
	shards, epochs := make([]autoscaler.ShardReceipt, len(answers)), make([]string, len(answers))
	for i, a := range answers {
		one := autoscaler.TrafficReceipt{Resync: new(true)}
		if wasTaken(a) {
			one.Resync = nil
			if err := json.Unmarshal(a.Bytes(), &one); err != nil {
				return one, err //nolint:wrapcheck // who asks says of what
			}
		}
		epochs[i] = value(one.Epoch, "")
		shards[i] = autoscaler.ShardReceipt{Epoch: epochs[i], Leader: one.Leader, Resync: one.Resync}
		leads, all = leads && value(one.Leader, false), all || value(one.Resync, false)
	}
	epoch := joined(epochs)
	out := autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived, Epoch: &epoch, Leader: &leads, Shards: &shards}
	if all {
		out.Resync = &all
	}
	return out, nil
}
