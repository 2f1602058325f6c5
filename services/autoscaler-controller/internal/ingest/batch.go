package ingest

import (
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// maxItems is how many items the contract takes in a batch.
const maxItems = 500

// PushBatch takes a batch as it came, if what is around the items is well made beyond doubt. Else
// nothing was done, and it is for the contract to judge.
func (m *Metrics) PushBatch(body []byte) (receipt autoscaler.PodMetricsBatchReceipt, understood bool) {
	items, understood := split(body)
	if !understood || m.ours != nil {
		return receipt, false
	}
	return m.items(items), true
}

// SubmitBatch takes a batch whose outside was checked against the contract.
func (m *Metrics) SubmitBatch(body []byte) (autoscaler.PodMetricsBatchReceipt, error) {
	var batch struct{ Items []json.RawMessage }
	if err := json.Unmarshal(body, &batch); err != nil || len(batch.Items) == 0 || len(batch.Items) > maxItems {
		return autoscaler.PodMetricsBatchReceipt{}, fault.New(fault.Invalid, "").With("items", "", "from 1 to 500 items").Because(err)
	}
	items := make([]jsontext.Value, len(batch.Items))
	for i, raw := range batch.Items {
		items[i] = jsontext.Value(raw)
	}
	return m.items(items), nil
}

// items takes each item by itself: one at fault keeps no other from being taken.
func (m *Metrics) items(items []jsontext.Value) (receipt autoscaler.PodMetricsBatchReceipt) {
	now := time.Now()
	list := make([]fleet.Measurement, 0, len(items))
	var refused []autoscaler.RefusedItem
	for i, raw := range items {
		if p, understood := read(raw); understood {
			list = append(list, p.measurement(now))
			continue
		}
		item, fault := m.judge.take(raw)
		if fault != nil {
			refused = append(refused, refusedItem(i, fault))
			continue
		}
		list = append(list, measurement(item, now))
	}
	if len(list) > 0 {
		m.sink.Measure(list)
	}
	m.meter.Measured(fleet.Sidecar, len(list))
	m.meter.Refused(len(refused))
	receipt.Accepted = int32(len(list)) //nolint:gosec // G115: at most maxItems
	if len(refused) > 0 {
		receipt.Refused = &refused
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
