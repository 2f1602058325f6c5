package contract

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Schema is one of a contract, for documents that come by another way than as a request's body: what is allowed in
// them, and what is taken where nothing is said, stands in the contract all the same.
type Schema struct{ schema *openapi3.Schema }

// NewSchema finds a schema by its name; contract is the one that is generated (GetSpec).
func NewSchema(contract func() (*openapi3.T, error), name string) (*Schema, error) {
	spec, err := contract()
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	ref, ok := spec.Components.Schemas[name]
	if !ok {
		return nil, fmt.Errorf("contract: it has no %s", name)
	}
	return &Schema{ref.Value}, nil
}

// Check says in the words of every other refusal what a document must not have; nil: nothing. It is as encoding/json
// reads it into an any.
func (s *Schema) Check(document any) *fault.Error { return s.visit(document) }

// Fill is Check, and fills in what the document does not say.
func (s *Schema) Fill(document any) *fault.Error {
	return s.visit(document, openapi3.DefaultsSet(func() {})) // has the validator fill the defaults in
}

func (s *Schema) visit(document any, options ...openapi3.SchemaValidationOption) *fault.Error {
	options = append(options, openapi3.VisitAsRequest(), openapi3.MultiErrors())
	if err := s.schema.VisitJSON(document, options...); err != nil {
		return OfBody(err)
	}
	return nil
}

// OfBody is the Refusal of what is wrong with a document, be it that it cannot be read.
func OfBody(err error) *fault.Error { return Refusal(&openapi3filter.RequestError{Err: err}, 0) }
