package ingest

import (
	"encoding/json"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// judge holds the items of a batch to the contract, each by itself, in the words of every other refusal.
type judge struct{ schema *contract.Schema }

func newJudge() (*judge, error) {
	schema, err := contract.NewSchema(common.GetSpec, "PodMetrics")
	return &judge{schema}, err
}

// take reads one item, or says what is not allowed in it.
func (j *judge) take(raw []byte) (common.PodMetrics, *fault.Error) {
	var item common.PodMetrics
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		return item, contract.OfBody(err)
	}
	if refused := j.schema.Check(document); refused != nil {
		return item, refused
	}
	if err := json.Unmarshal(raw, &item); err != nil {
		return item, contract.OfBody(err)
	}
	return item, nil
}
