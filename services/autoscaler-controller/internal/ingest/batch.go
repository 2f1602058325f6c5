package ingest

import (
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// maxItems is how many items the contract takes in a batch.
const maxItems = 500

// Pass has another replica take a part of a batch, which is a batch, for a shard.
type Pass = func(shard int, body []byte) (autoscaler.PodMetricsBatchReceipt, error)

// PushBatch takes a batch as it came, if what is around the items is well made beyond doubt. Else
// nothing was done, and it is for the contract to judge. What is of shards that are not ours is passed on, in
// a batch for each, at the same time; an error is that of such a part, and the others were taken.
func (m *Metrics) PushBatch(body []byte, by access.Caller, pass Pass) (receipt autoscaler.PodMetricsBatchReceipt, understood bool, err error) {
	items, understood := split(body)
	if !understood {
		return receipt, false, nil
	}
	ours, elsewhere := m.judged(items, &by)
	underWay := make([]passed, 0, len(elsewhere))
	for shard, part := range elsewhere {
		underWay = append(underWay, part.pass(shard, pass))
	}
	receipt = m.measure(ours)
	for _, one := range underWay {
		if failed := one.join(&receipt); failed != nil {
			err = failed
		}
	}
	return receipt, true, err
}

// SubmitBatch takes a batch whose outside was checked against the contract.
func (m *Metrics) SubmitBatch(body []byte, by access.Caller) (autoscaler.PodMetricsBatchReceipt, error) {
	var batch struct{ Items []json.RawMessage }
	if err := json.Unmarshal(body, &batch); err != nil || len(batch.Items) == 0 || len(batch.Items) > maxItems {
		return autoscaler.PodMetricsBatchReceipt{}, fault.New(fault.Invalid, "").With("items", "", "from 1 to 500 items").Because(err)
	}
	items := make([]jsontext.Value, len(batch.Items))
	for i, raw := range batch.Items {
		items[i] = jsontext.Value(raw)
	}
	return m.items(items, &by), nil
}

// items takes each item by itself: one at fault keeps no other from being taken.
func (m *Metrics) items(items []jsontext.Value, by *access.Caller) autoscaler.PodMetricsBatchReceipt {
	ours, _ := m.judged(items, by)
	return m.measure(ours)
}

// judgement is what of a batch is for this replica.
type judgement struct {
	list    []fleet.Measurement
	refused []autoscaler.RefusedItem
}

// judged are the items that are ours, and the others by their shards.
func (m *Metrics) judged(items []jsontext.Value, by *access.Caller) (ours judgement, elsewhere map[int]*part) {
	now := time.Now()
	ours.list = make([]fleet.Measurement, 0, len(items))
	for i, raw := range items {
		p, understood := read(raw)
		namespace, pod := p.namespace, p.pod
		var item common.PodMetrics
		if !understood {
			var fault *fault.Error
			if item, fault = m.judge.take(raw); fault != nil {
				ours.refused = append(ours.refused, refusedItem(i, fault))
				continue
			}
			namespace, pod = item.Namespace, item.PodName
		}
		shard, here := m.ours(namespace)
		switch {
		case !here && elsewhere == nil:
			elsewhere = map[int]*part{}
			fallthrough
		case !here:
			elsewhere[shard] = elsewhere[shard].add(i, raw)
		case !m.reaches(by, namespace, pod):
			ours.refused = append(ours.refused, refusedItem(i, fault.New(fault.Forbidden, "%s", access.OtherNode(by.Node))))
		case understood:
			ours.list = append(ours.list, p.measurement(now))
		default:
			ours.list = append(ours.list, measurement(item, now))
		}
	}
	return ours, elsewhere
}

// measure takes what is ours.
func (m *Metrics) measure(ours judgement) (receipt autoscaler.PodMetricsBatchReceipt) {
	if len(ours.list) > 0 {
		m.sink.Measure(ours.list)
	}
	m.meter.Measured(fleet.Sidecar, len(ours.list))
	m.meter.Refused(len(ours.refused))
	receipt.Accepted = int32(len(ours.list)) //nolint:gosec // G115: at most maxItems
	if len(ours.refused) > 0 {
		receipt.Refused = &ours.refused
	}
	return receipt
}

func refusedItem(i int, refusal *fault.Error) autoscaler.RefusedItem {
	item := autoscaler.RefusedItem{Index: int32(i), Reason: refusal.Summary()} //nolint:gosec // G115: at most maxItems
	if n := min(len(refusal.Fields), 64); n > 0 {
		errors := make([]common.FieldError, n)
		for j, f := range refusal.Fields[:n] {
			errors[j] = common.FieldError{Field: f.Field, Allowed: f.Allowed}
			if f.Value != "" {
				errors[j].Value = &f.Value
			}
		}
		item.Errors = &errors
	}
	return item
}

// split cuts a batch into its items, which are not looked at.
func split(body []byte) (items []jsontext.Value, understood bool) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	defer d.reset(nil)
	d.reset(body)
	var seen uint32
	understood = d.object(batchFields, &seen, func(field uint32) bool {
		if field == seenCollector {
			name, ok := d.plain()
			return ok && len(name) > 0 && len(name) <= maxName
		}
		items, understood = d.list(body)
		return understood
	})
	return items, understood && seen&seenItems != 0 && d.ended()
}

// The fields of a batch, as bits.
const (
	seenItems uint32 = 1 << iota
	seenCollector
)

var batchFields = map[string]uint32{"items": seenItems, "collector": seenCollector}

// list is the raw items of a list in body. They are parts of it, not the decoder's, which change when it reads on.
func (d *decoder) list(body []byte) ([]jsontext.Value, bool) {
	if begin, err := d.json.ReadToken(); err != nil || begin.Kind() != jsontext.KindBeginArray {
		return nil, false
	}
	items := make([]jsontext.Value, 0, 128)
	for d.json.PeekKind() != jsontext.KindEndArray {
		raw, err := d.json.ReadValue()
		if err != nil || len(items) == maxItems {
			return nil, false
		}
		end := d.json.InputOffset()
		items = append(items, body[end-int64(len(raw)):end])
	}
	_, err := d.json.ReadToken()
	return items, err == nil && len(items) > 0
}
