package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// resource is an object that the server holds under a path, and how it should be.
type resource struct {
	what, path string
	want       map[string]any
	secret     map[string]any // goes with want, and never comes back
	found      []any          // where it is in the answer to GET
	differs    string         // a difference that is known already
	needed     bool           // documents cannot be written without it
}

// object looks whether a resource is there and as it should be, and makes it so.
func (s *setup) object(ctx context.Context, t resource) (Outcome, error) {
	status, body, err := s.c.ask(ctx, plain{method: http.MethodGet, path: t.path})
	switch {
	case err != nil:
		return Failed, s.stop(t.what, err.Error())
	case status == http.StatusNotFound:
		return s.put(ctx, t, Created, "")
	case status != http.StatusOK:
		return s.refused(t, status, body)
	}
	var answer any
	if err := json.Unmarshal(body, &answer); err != nil {
		return Failed, s.stop(t.what, "the answer cannot be read: "+err.Error())
	}
	difference := t.differs
	if difference == "" {
		difference = differs("", t.want, dig(answer, t.found...), false)
	}
	if difference == "" {
		s.say(t.what, Same, "")
		return Same, nil
	}
	return s.put(ctx, t, Changed, difference)
}

func (s *setup) put(ctx context.Context, t resource, outcome Outcome, note string) (Outcome, error) {
	if s.o.DryRun {
		s.say(t.what, outcome, note)
		return outcome, nil
	}
	body := ""
	if t.want != nil {
		whole := maps.Clone(t.want)
		maps.Copy(whole, t.secret)
		text, err := json.Marshal(whole)
		if err != nil {
			return Failed, err
		}
		body = string(text)
	}
	status, answer, err := s.c.ask(ctx, plain{method: http.MethodPut, path: t.path, body: body})
	if err != nil {
		return Failed, s.stop(t.what, err.Error())
	}
	if status != http.StatusOK {
		return s.refused(t, status, answer)
	}
	s.say(t.what, outcome, note)
	return outcome, nil
}

// refused tells of a step that the server did not do. Who is not known to the server need not go on.
func (s *setup) refused(t resource, status int, body []byte) (Outcome, error) {
	if status == http.StatusUnauthorized {
		return Failed, s.stop(t.what, words(status, body))
	}
	outcome := Refused
	if t.needed && !lacks(status, body) {
		outcome = Failed
	}
	s.say(t.what, outcome, words(status, body))
	return outcome, nil
}

// lacks tells whether the server does not know the call at all, as those for users where security is
// off: then nobody is asked who he is.
func lacks(status int, body []byte) bool {
	return status == http.StatusBadRequest && bytes.Contains(body, []byte("no handler found for uri")) ||
		status == http.StatusMethodNotAllowed && bytes.Contains(body, []byte("Incorrect HTTP method for uri"))
}

// oldest is the first version that keeps logs in the way that the templates ask for.
var oldest = [2]int{8, 17}

// version refuses a server that is too old, before anything is changed. Not every server says its
// version at /, and the nodes of a cluster that is being renewed differ.
func (s *setup) version(ctx context.Context) error {
	const what = "version"
	var root struct {
		Version struct {
			Number string `json:"number"`
			Flavor string `json:"build_flavor"`
		} `json:"version"`
	}
	if err := s.c.Check(ctx); err != nil {
		return s.stop(what, err.Error())
	}
	status, body, err := s.c.ask(ctx, plain{method: http.MethodGet, path: "/"})
	switch {
	case err != nil:
		return s.stop(what, err.Error())
	case status == http.StatusUnauthorized:
		return s.stop(what, words(status, body))
	}
	_ = json.Unmarshal(body, &root) // some other answer names no version
	found := []string{root.Version.Number}
	if root.Version.Flavor == "serverless" { // it says 8.11 for ever, and is newer than all
		return nil
	}
	var nodes struct {
		Nodes map[string]struct{ Version string }
	}
	if status, body, err := s.c.ask(ctx, plain{method: http.MethodGet, path: "/_nodes/_all/none?filter_path=nodes.*.version"}); err == nil && status == http.StatusOK {
		_ = json.Unmarshal(body, &nodes)
		for _, n := range nodes.Nodes {
			found = append(found, n.Version)
		}
	}
	found = slices.DeleteFunc(found, func(v string) bool { return v == "" })
	if len(found) == 0 {
		return s.stop(what, "the server does not say which version it is: "+words(status, body))
	}
	for _, v := range found {
		if tooOld(v) {
			return s.stop(what, fmt.Sprintf("Elasticsearch %s is too old: it must be %d.%d or newer. Nothing was changed", v, oldest[0], oldest[1]))
		}
	}
	return nil
}

func tooOld(version string) bool {
	parts := append(strings.Split(version, "."), "", "")
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	return major < oldest[0] || major == oldest[0] && minor < oldest[1]
}

// dig follows keys and indices into decoded JSON; nil where there is no such thing.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

// differs names the first place where there is not what is wanted, or "". The server adds defaults
// of its own, which is no difference, but not to mappings and settings: what is more there is.
func differs(path string, want, there any, exact bool) string {
	wanted, ok := want.(map[string]any)
	object, alsoObject := there.(map[string]any)
	if !ok || !alsoObject {
		list, ok := want.([]any)
		other, alsoList := there.([]any)
		if ok && alsoList && len(list) == len(other) {
			for i := range list {
				if d := differs(path+"."+strconv.Itoa(i), list[i], other[i], exact); d != "" {
					return d
				}
			}
			return ""
		}
		if reflect.DeepEqual(want, there) {
			return ""
		}
		return strings.TrimPrefix(path, ".")
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if d := differs(path+"."+key, wanted[key], object[key], exact || key == "mappings" || key == "settings"); d != "" {
			return d
		}
	}
	if exact {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if _, ok := wanted[key]; !ok {
				return strings.TrimPrefix(path+"."+key, ".")
			}
		}
	}
	return ""
}

// words are what the server said, shortened.
func words(status int, body []byte) string {
	const most = 300
	text := strings.TrimSpace(string(body))
	var problem struct{ Error json.RawMessage }
	if json.Unmarshal(body, &problem) == nil {
		var reason struct{ Type, Reason string }
		var line string
		switch {
		case json.Unmarshal(problem.Error, &reason) == nil && reason.Reason != "":
			text = reason.Reason
		case json.Unmarshal(problem.Error, &line) == nil:
			text = line
		}
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, text))
}
