// Command crdgen writes the CustomResourceDefinition of a schema in an OpenAPI contract. The
// schema's x-kubernetes-kind extension says how Kubernetes names it and which columns kubectl
// prints; x-kubernetes-* extensions inside the schema (validation rules, list types) ride along.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"sigs.k8s.io/yaml"
)

const header = `# Generated from api/autoscaler.yaml by gen/internal/crdgen; do not edit. Run: make generate
`

func main() {
	spec := flag.String("spec", "", "the OpenAPI file")
	schema := flag.String("schema", "", "the schema's name")
	out := flag.String("out", "", "the file to write")
	flag.Parse()
	if err := run(*spec, *schema, *out); err != nil {
		fmt.Fprintln(os.Stderr, "crdgen:", err)
		os.Exit(1)
	}
}

func run(spec, name, out string) error {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	doc, err := loader.LoadFromFile(spec)
	if err != nil {
		return err
	}
	ref, ok := doc.Components.Schemas[name]
	if !ok {
		return fmt.Errorf("%s has no schema %s", spec, name)
	}
	crd, err := definition(ref.Value)
	if err != nil {
		return err
	}
	raw, err := yaml.Marshal(crd)
	if err != nil {
		return err
	}
	return os.WriteFile(out, append([]byte(header), raw...), 0o644) //nolint:gosec // G306: a manifest is no secret
}

// kind is the x-kubernetes-kind extension.
type kind struct {
	Group          string   `json:"group"`
	Version        string   `json:"version"`
	Kind           string   `json:"kind"`
	Plural         string   `json:"plural"`
	Singular       string   `json:"singular"`
	ShortNames     []string `json:"shortNames"`
	Categories     []string `json:"categories"`
	PrinterColumns []any    `json:"printerColumns"`
	// Fields that a fieldSelector may name, beside metadata.name and metadata.namespace.
	SelectableFields []string `json:"selectableFields"`
	Scope            string   `json:"scope"` // Namespaced, as when it is left out, or Cluster
}

// definition builds the resource of a schema whose properties are spec, metadata and, where it has one, status.
func definition(s *openapi3.Schema) (map[string]any, error) {
	raw, err := json.Marshal(s.Extensions["x-kubernetes-kind"])
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var k kind
	if err := decoder.Decode(&k); err != nil {
		return nil, fmt.Errorf("x-kubernetes-kind: %w", err)
	}
	properties := map[string]any{
		// These three are Kubernetes' own, and may not be described further.
		"apiVersion": map[string]any{"type": "string"},
		"kind":       map[string]any{"type": "string"},
		"metadata":   map[string]any{"type": "object"},
	}
	subresources := map[string]any{}
	for _, part := range []string{"spec", "status"} {
		property, described := s.Properties[part]
		if !described {
			continue
		}
		if properties[part], err = structural(property.Value, part); err != nil {
			return nil, err
		}
		if part == "status" {
			subresources[part] = map[string]any{}
		}
	}
	version := map[string]any{
		"name":    k.Version,
		"served":  true,
		"storage": true,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{
			"type":        "object",
			"description": s.Description,
			"required":    s.Required,
			"properties":  properties,
		}},
		"additionalPrinterColumns": k.PrinterColumns,
	}
	if len(subresources) > 0 {
		version["subresources"] = subresources
	}
	if len(k.SelectableFields) > 0 {
		var fields []any
		for _, path := range k.SelectableFields {
			fields = append(fields, map[string]any{"jsonPath": path})
		}
		version["selectableFields"] = fields
	}
	names := map[string]any{"kind": k.Kind, "listKind": k.Kind + "List", "plural": k.Plural, "singular": k.Singular}
	if len(k.ShortNames) > 0 {
		names["shortNames"] = k.ShortNames
	}
	if len(k.Categories) > 0 {
		names["categories"] = k.Categories
	}
	scope := cmp.Or(k.Scope, "Namespaced")
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": k.Plural + "." + k.Group},
		"spec": map[string]any{
			"group":    k.Group,
			"scope":    scope,
			"names":    names,
			"versions": []any{version},
		},
	}, nil
}
