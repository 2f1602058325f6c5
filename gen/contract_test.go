package gen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/gen/sidecar"
)

// The linter checks what every OpenAPI file should have; this checks what ours promise besides.
func TestContracts_EveryOperationHasExamplesAndRefusesWithProblemDocuments(t *testing.T) {
	for name, load := range map[string]func() (*openapi3.T, error){
		"autoscaler":   autoscaler.GetSpec,
		"loadbalancer": loadbalancer.GetSpec,
		"sidecar":      sidecar.GetSpec,
	} {
		doc, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				for _, fault := range faults(op) {
					t.Errorf("%s: %s %s: %s", name, method, path, fault)
				}
			}
		}
	}
}

func faults(op *openapi3.Operation) []string {
	var found []string
	if op.OperationID == "" {
		found = append(found, "no operationId")
	}
	if op.RequestBody != nil {
		found = append(found, withoutExample("request", op.RequestBody.Value.Content)...)
	}
	if op.Responses.Default() == nil {
		found = append(found, "no default response")
	}
	for status, response := range op.Responses.Map() {
		content := response.Value.Content
		found = append(found, withoutExample(status, content)...)
		switch {
		case strings.HasPrefix(status, "2"):
		case content.Get("application/problem+json") != nil:
		case op.OperationID == "getReadiness": // 503 is its answer, not a refusal
		default:
			found = append(found, status+" is no problem document")
		}
	}
	return found
}

// withoutExample names the JSON bodies that show no example, neither beside nor in their schema.
func withoutExample(where string, content openapi3.Content) []string {
	var found []string
	for media, body := range content {
		if strings.Contains(media, "json") && body.Example == nil && len(body.Examples) == 0 && body.Schema.Value.Example == nil {
			found = append(found, fmt.Sprintf("%s %s has no example", where, media))
		}
	}
	return found
}
