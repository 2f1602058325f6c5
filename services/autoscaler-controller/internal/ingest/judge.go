package ingest

import (
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// judge holds the items of a batch to the contract, each by itself, in the words of every other refusal.
type judge struct{ schema *openapi3.Schema }

func newJudge() (*judge, error) {
	spec, err := common.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	ref, ok := spec.Components.Schemas["PodMetrics"]
	if !ok {
		return nil, fmt.Errorf("contract: it has no PodMetrics")
	}
	return &judge{ref.Value}, nil
}

// take reads one item, or says what is not allowed in it.
func (j *judge) take(raw []byte) (common.PodMetrics, *fault.Error) {
	var item common.PodMetrics
	var document any
	err := json.Unmarshal(raw, &document)
	if err == nil {
		err = j.schema.VisitJSON(document, openapi3.VisitAsRequest(), openapi3.MultiErrors())
	}
	if err == nil {
		err = json.Unmarshal(raw, &item)
	}
	if err != nil {
		return item, contract.Refusal(&openapi3filter.RequestError{Err: err}, 0)
	}
	return item, nil
}
