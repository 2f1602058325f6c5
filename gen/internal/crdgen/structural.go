package main

import (
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// structural turns a schema into a Kubernetes structural schema: references inlined, examples
// dropped, x-kubernetes-* kept. It refuses what a structural schema cannot say, so that the
// contract never promises more than the cluster checks.
func structural(s *openapi3.Schema, path string) (map[string]any, error) {
	if len(s.OneOf)+len(s.AnyOf)+len(s.AllOf) > 0 || s.Not != nil {
		return nil, fmt.Errorf("%s: oneOf, anyOf, allOf and not are not used in the CustomResourceDefinition", path)
	}
	out := scalars(s)
	for key, value := range s.Extensions {
		if strings.HasPrefix(key, "x-kubernetes-") {
			out[key] = value
		}
	}
	if s.Items != nil {
		items, err := structural(s.Items.Value, path+"[]")
		if err != nil {
			return nil, err
		}
		out["items"] = items
	}
	if len(s.Properties) > 0 {
		properties := map[string]any{}
		for name, property := range s.Properties {
			p, err := structural(property.Value, path+"."+name)
			if err != nil {
				return nil, err
			}
			properties[name] = p
		}
		out["properties"] = properties
	}
	if s.Type.Is("object") && len(s.Properties) == 0 {
		if s.AdditionalProperties.Schema == nil {
			return nil, fmt.Errorf("%s: an object needs properties or a schema of its values", path)
		}
		values, err := structural(s.AdditionalProperties.Schema.Value, path+".*")
		if err != nil {
			return nil, err
		}
		out["additionalProperties"] = values
	}
	return out, nil
}

// scalars are the keywords that mean the same in both.
func scalars(s *openapi3.Schema) map[string]any {
	out := map[string]any{"type": s.Type.Slice()[0]}
	set := func(key string, value any, given bool) {
		if given {
			out[key] = value
		}
	}
	set("description", strings.TrimSpace(s.Description), s.Description != "")
	set("format", s.Format, s.Format != "")
	set("enum", s.Enum, len(s.Enum) > 0)
	set("default", s.Default, s.Default != nil)
	set("required", s.Required, len(s.Required) > 0)
	set("pattern", s.Pattern, s.Pattern != "")
	set("nullable", true, s.Nullable)
	set("minLength", s.MinLength, s.MinLength > 0)
	set("minItems", s.MinItems, s.MinItems > 0)
	if s.MaxLength != nil {
		out["maxLength"] = *s.MaxLength
	}
	if s.MaxItems != nil {
		out["maxItems"] = *s.MaxItems
	}
	if s.Min != nil {
		out["minimum"] = *s.Min
	}
	if s.Max != nil {
		out["maximum"] = *s.Max
	}
	return out
}
