package httpapi

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// report divides a load balancer's report among all shards.
//
// When one of them asks for everything, all are sent everything: what the others take twice is as it was, but
// for the times of the answers since the last report, which they then count twice.
func (s *sharded) report(w http.ResponseWriter, r *http.Request, body []byte) {
	parts, _ := s.divide(body, "applications")
	var head struct {
		Epoch *string `json:"epoch"`
		Delta bool    `json:"delta"`
	}
	if parts == nil || json.Unmarshal(body, &head) != nil {
		s.ports[0].ServeHTTP(w, r) // which says what is wrong with it
		return
	}
	var epochs []string
	if head.Epoch != nil {
		epochs = s.vectors.find(*head.Epoch)
	}
	if head.Delta && epochs == nil { // another replica has divided the one before, or a leader is a new one
		all := true
		reply(w, autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived, Epoch: head.Epoch, Resync: &all})
		return
	}
	calls := make([]*http.Request, len(parts))
	for i, part := range parts {
		if epochs != nil {
			part.set("epoch", epochs[i])
		}
		calls[i] = call(r, part)
	}
	answers := s.ask(calls)
	if a := refused(answers); a != nil {
		a.pass(w)
		return
	}
	receipt, err := s.receipt(answers)
	if err != nil {
		unreadable(w, r, err)
		return
	}
	reply(w, receipt)
}

// receipt is what all shards say together.
func (s *sharded) receipt(answers []*kept) (autoscaler.TrafficReceipt, error) {
	leads, all := true, false
	epochs := make([]string, len(answers))
	for i, a := range answers {
		var one autoscaler.TrafficReceipt
		if err := json.Unmarshal(a.Bytes(), &one); err != nil {
			return one, err //nolint:wrapcheck // who asks says of what
		}
		leads, all = leads && value(one.Leader, false), all || value(one.Resync, false)
		epochs[i] = value(one.Epoch, "")
	}
	epoch := s.vectors.keep(epochs)
	out := autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived, Epoch: &epoch, Leader: &leads}
	if all {
		out.Resync = &all
	}
	return out, nil
}

// maxVectors bounds how many combinations of epochs are known: one comes with each new leader.
const maxVectors = 64

// vectors are the shards' epochs that stand behind one that was given to load balancers. The zero value is
// ready for use.
type vectors struct {
	mu    sync.Mutex
	known map[string][]string
	order []string // the oldest first
}

// keep names the epochs of all shards by one.
func (v *vectors) keep(epochs []string) string {
	name := joined(epochs)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string][]string{}
	}
	if _, known := v.known[name]; known {
		return name
	}
	if len(v.order) == maxVectors {
		delete(v.known, v.order[0])
		v.order = slices.Delete(v.order, 0, 1)
	}
	v.known[name], v.order = epochs, append(v.order, name)
	return name
}

// find is what stands behind an epoch; nil: that is not known here.
func (v *vectors) find(name string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[name]
}

// joined is a short name, in lower case letters and digits, for what all shards say.
func joined(parts []string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(strings.Join(parts, " "))) // never fails
	return "s" + strconv.FormatUint(sum.Sum64(), 36)
}
