package contract

import (
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// methods are those that the contract has for a path, in order: what a 405 must name in its Allow
// header.
func methods(spec *openapi3.T, path string) []string {
	var found []string
	if slices.Contains(httpserver.OperationPaths(), path) {
		found = append(found, http.MethodGet, http.MethodHead)
	}
	for template, item := range spec.Paths.Map() {
		if !fits(template, path) {
			continue
		}
		for method := range item.Operations() {
			found = append(found, method)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// fits tells whether a path is one of a template such as /things/{name}.
func fits(template, path string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool {
		return w == h || h != "" && strings.HasPrefix(w, "{") && strings.HasSuffix(w, "}")
	})
}
