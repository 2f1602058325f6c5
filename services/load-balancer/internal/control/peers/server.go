package peers

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/peers"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// Handler takes the messages of others. They are many and small, and come from programs of ours: they
// are read here rather than checked against the contract first; a field that is not known is ignored.
func (p *Peers) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, p.serve)
	return httpserver.LimitBody(maxBody)(mux)
}

func (p *Peers) serve(w http.ResponseWriter, r *http.Request) {
	pod := ""
	if p.o.Caller != nil {
		var err error
		if pod, err = p.o.Caller(r.Context(), r.Header); err != nil {
			fault.Write(w, r, err)
			return
		}
	}
	var in peers.SlotsExchange
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fault.Write(w, r, contract.Refusal(err, http.StatusBadRequest))
		return
	}
	if pod != "" && in.From.Name != pod {
		fault.Write(w, r, fault.New(fault.Forbidden, "a load balancer speaks for itself alone: the token is the pod %s's", pod).
			With("from.name", in.From.Name, pod))
		return
	}
	self := p.desk.Self()
	if to := idIn(in.To); to != self.ID {
		fault.Write(w, r, fault.New(fault.Conflict, "this is %s, and not the load balancer that is meant", self.Name))
		return
	}
	if in.From.Name == "" || in.From.Address == "" {
		fault.Write(w, r, fault.New(fault.Invalid, "").With("from", in.From.Name, "a load balancer with name, startedAt and address"))
		return
	}
	answer, err := json.Marshal(p.answer(in))
	if err != nil {
		fault.Write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

func (p *Peers) answer(in peers.SlotsExchange) peers.SlotsExchange {
	from, word := memberIn(in.From), value(in.Word)
	if value(in.Ended) {
		p.desk.Ended(from)
	} else {
		p.desk.Heard(from, word)
	}
	now := time.Now()
	out := peers.SlotsExchange{
		From: memberOut(p.desk.Self()), To: idOut(from.ID), Word: some(word && !value(in.Ended)), Applications: []peers.ApplicationSlots{},
	}
	for _, a := range in.Applications {
		app, m := applicationIn(a, now)
		if answer := p.desk.Hear(from, app, m, false); !answer.Empty() {
			out.Applications = append(out.Applications, applicationOut(app, answer, time.Now()))
		}
	}
	return out
}
