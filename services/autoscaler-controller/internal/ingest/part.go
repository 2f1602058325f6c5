package ingest

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// part is what of a batch another replica is to take.
type part struct {
	body   []byte // of a batch, but for its end
	places []int32
}

// add adds an item, which stands at that place in the whole.
func (p *part) add(place int, raw jsontext.Value) *part {
	if p == nil {
		p = &part{body: []byte(`{"items":[`)}
	} else {
		p.body = append(p.body, ',')
	}
	p.body = append(p.body, raw...)
	p.places = append(p.places, int32(place)) //nolint:gosec // G115: at most maxItems
	return p
}

// passed is a part that is under way.
type passed struct {
	*part
	done chan answer
}

type answer struct {
	receipt autoscaler.PodMetricsBatchReceipt
	err     error
}

// pass passes the part on, and does not wait.
func (p *part) pass(shard int, pass Pass) passed {
	p.body = append(p.body, "]}"...)
	done := make(chan answer, 1)
	go func() {
		receipt, err := pass(shard, p.body)
		done <- answer{receipt, err}
	}()
	return passed{p, done}
}

// join waits for the part's receipt, and makes it one with that of the whole.
func (p passed) join(whole *autoscaler.PodMetricsBatchReceipt) error {
	a := <-p.done
	if a.err != nil {
		return a.err
	}
	whole.Accepted += a.receipt.Accepted
	refused := value(whole.Refused)
	for _, one := range value(a.receipt.Refused) {
		if one.Index >= 0 && int(one.Index) < len(p.places) {
			one.Index = p.places[one.Index]
		}
		refused = append(refused, one)
	}
	if len(refused) > 0 {
		slices.SortStableFunc(refused, func(a, b autoscaler.RefusedItem) int { return int(a.Index) - int(b.Index) })
		whole.Refused = &refused
	}
	return nil
}
