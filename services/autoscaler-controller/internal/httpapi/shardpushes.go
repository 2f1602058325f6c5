package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
)

// object is a JSON object of which only some fields are looked at: the others go on as they are.
type object map[string]json.RawMessage

func (o object) set(name string, value any) {
	o[name], _ = json.Marshal(value) // strings, numbers and what was read as JSON: it never fails
}

// namespaced is what is looked at to find the shard.
type namespaced struct {
	Namespace string `json:"namespace"`
}

// push gives a sidecar's measurement to the shard of its pod.
func (s *sharded) push(w http.ResponseWriter, r *http.Request, body []byte) {
	var of namespaced
	_ = json.Unmarshal(body, &of) // whoever gets it says what is wrong with it
	s.of(of.Namespace).ServeHTTP(w, r)
}

// divide divides a body's list among the shards, by the namespaces of its elements, and says at which places
// they were. It returns nothing when the body is no object with such a list.
func (s *sharded) divide(body []byte, list string) (parts []object, places [][]int) {
	var whole object
	var all []json.RawMessage
	if json.Unmarshal(body, &whole) != nil || json.Unmarshal(whole[list], &all) != nil || all == nil {
		return nil, nil
	}
	elements := make([][]json.RawMessage, len(s.ports))
	parts, places = make([]object, len(s.ports)), make([][]int, len(s.ports))
	for i, raw := range all {
		var of namespaced
		_ = json.Unmarshal(raw, &of)
		at := shard.Of(of.Namespace, len(s.ports))
		elements[at], places[at] = append(elements[at], raw), append(places[at], i)
	}
	for i := range parts {
		parts[i] = maps.Clone(whole)
		parts[i].set(list, append([]json.RawMessage{}, elements[i]...)) // none is [], not null
	}
	return parts, places
}

// call is the same call with a part of the body.
func call(r *http.Request, part object) *http.Request {
	text, _ := json.Marshal(part) // it was read as JSON
	return with(r, text)
}

// batchReceipt is the contract's.
type batchReceipt struct {
	Accepted int      `json:"accepted"`
	Refused  []object `json:"refused,omitempty"`
}

// batch divides a collector's measurements among the shards of the pods.
func (s *sharded) batch(w http.ResponseWriter, r *http.Request, body []byte) {
	parts, places := s.divide(body, "items")
	calls := make([]*http.Request, len(parts))
	asked := false
	for i, part := range parts {
		if len(places[i]) > 0 {
			calls[i], asked = call(r, part), true
		}
	}
	if !asked {
		s.ports[0].ServeHTTP(w, r) // which says what is wrong with it
		return
	}
	answers := s.ask(calls)
	if a := refused(answers); a != nil {
		a.pass(w)
		return
	}
	out, err := batchReceiptOf(answers, places)
	if err != nil {
		unreadable(w, r, err)
		return
	}
	reply(w, out)
}

// batchReceiptOf is the receipt for a whole batch: what was refused is named by its place there.
func batchReceiptOf(answers []*kept, places [][]int) (out batchReceipt, err error) {
	for i, a := range answers {
		if a == nil {
			continue
		}
		var part batchReceipt
		if err := json.Unmarshal(a.Bytes(), &part); err != nil {
			return out, err //nolint:wrapcheck // who asks says of what
		}
		out.Accepted += part.Accepted
		for _, one := range part.Refused {
			var at int
			if json.Unmarshal(one["index"], &at) == nil && at >= 0 && at < len(places[i]) {
				one.set("index", places[i][at])
			}
			out.Refused = append(out.Refused, one)
		}
	}
	return out, nil
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client has gone: nothing to do
}

// unreadable answers when a shard's answer cannot be read.
func unreadable(w http.ResponseWriter, r *http.Request, err error) {
	fault.Write(w, r, fault.New(fault.Internal, "a shard's answer cannot be read").Because(err))
}
