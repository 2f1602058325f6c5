package elastic

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// contract stands for the calls that the server of the tests lacks, and every whole one has: data
// streams by name, their lifecycle, roles, users and keys. It answers in the form that Elasticsearch
// documents for them (8.19 and 9.3), with the defaults that the server adds. What else is asked goes
// to rest: a real server, or a store of templates.
type contract struct {
	rest    http.Handler
	version string

	mu      sync.Mutex
	streams map[string]map[string]any // name to lifecycle
	roles   map[string]map[string]any
	users   map[string]map[string]any
	keys    map[string]map[string]any // encoded form to role descriptors
	asked   []string                  // what would have changed something

	overlapping []any          // the templates that _simulate_index says it did not take
	simulated   string         // the mappings that the templates make together; "" is not told
	mappings    map[string]any // of the access stream's indices; nil likewise
}

func newContract(t *testing.T, rest http.Handler) (*contract, string) {
	t.Helper()
	c := &contract{
		rest: rest, version: "9.3.2", streams: map[string]map[string]any{}, roles: map[string]map[string]any{}, users: map[string]map[string]any{}, keys: map[string]map[string]any{},
	}
	server := httptest.NewServer(asElasticsearch(c.serve))
	t.Cleanup(server.Close)
	return c, server.URL
}

// changes returns what was asked for since the last call, but for questions.
func (c *contract) changes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.asked
	c.asked = nil
	return all
}

func (c *contract) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.Contains(r.URL.Path, "/_simulate_index/") {
		c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	}
	say := func(status int, answer any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name := segments[len(segments)-1]
	body := func() map[string]any {
		var v map[string]any
		_ = json.NewDecoder(r.Body).Decode(&v)
		return v
	}
	gone := func() {
		say(http.StatusNotFound, map[string]any{"error": map[string]any{"type": "resource_not_found_exception", "reason": "no such thing: " + name}})
	}
	switch {
	case r.URL.Path == "/":
		say(http.StatusOK, map[string]any{"version": map[string]any{"number": c.version, "build_flavor": "default"}, "tagline": "You Know, for Search"})
	case segments[0] == "_data_stream" && len(segments) == 3 && name == "_lifecycle":
		stream := c.streams[segments[1]]
		if stream == nil {
			gone()
			return
		}
		if r.Method == http.MethodPut {
			stream["data_retention"] = body()["data_retention"]
			say(http.StatusOK, map[string]any{"acknowledged": true})
			return
		}
		say(http.StatusOK, map[string]any{"data_streams": []any{map[string]any{"name": segments[1], "lifecycle": stream}}})
	case segments[0] == "_data_stream":
		if r.Method == http.MethodPut {
			c.streams[name] = map[string]any{"enabled": true, "data_retention": "30d", "retention_determined_by": "data_stream_configuration"}
			say(http.StatusOK, map[string]any{"acknowledged": true})
			return
		}
		if c.streams[name] == nil {
			gone()
			return
		}
		say(http.StatusOK, map[string]any{"data_streams": []any{map[string]any{"name": name, "timestamp_field": map[string]any{"name": "@timestamp"}, "generation": 1, "rollover_on_write": c.streams[name]["pending"] == true}}})
	case strings.HasPrefix(r.URL.Path, "/_security/role/"):
		c.object(r, c.roles, name, body, say, func(v map[string]any) map[string]any {
			for _, i := range v["indices"].([]any) {
				i.(map[string]any)["allow_restricted_indices"] = false
			}
			v["cluster"], v["applications"], v["run_as"], v["transient_metadata"] = []any{}, []any{}, []any{}, map[string]any{"enabled": true}
			return v
		})
	case strings.HasPrefix(r.URL.Path, "/_security/user/"):
		c.object(r, c.users, name, body, say, func(v map[string]any) map[string]any { v["enabled"] = true; return v })
	case r.URL.Path == "/_security/api_key" && r.Method == http.MethodPost:
		v := body()
		encoded := "a2V5" + v["name"].(string)
		c.keys[encoded] = v["role_descriptors"].(map[string]any)
		say(http.StatusOK, map[string]any{"id": "1", "name": v["name"], "api_key": "secret", "encoded": encoded})
	case r.URL.Path == "/_security/_authenticate":
		name, password, basic := r.BasicAuth()
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "ApiKey ")
		if c.keys[key] != nil || basic && c.users[name] != nil && c.users[name]["password"] == password {
			say(http.StatusOK, map[string]any{"username": name, "enabled": true})
			return
		}
		say(http.StatusUnauthorized, map[string]any{"error": map[string]any{"type": "security_exception", "reason": "unable to authenticate"}})
	case c.mappings != nil && name == "_mapping" && strings.HasPrefix(segments[0], "logs-"+AccessDataset):
		say(http.StatusOK, c.mappings)
	case c.overlapping != nil && len(segments) == 3 && segments[1] == "_simulate_index":
		say(http.StatusOK, map[string]any{"template": map[string]any{}, "overlapping": c.overlapping})
	case c.overlapping != nil && r.URL.Path == "/_index_template":
		one := func(name string, priority int, patterns ...string) any {
			return map[string]any{"name": name, "index_template": map[string]any{"priority": priority, "index_patterns": patterns}}
		}
		say(http.StatusOK, map[string]any{"index_templates": []any{
			one("logs", 100, "logs-*-*"), one("team-logs", 500, "metrics-*", "logs-*"), one("other", 900, "traces-*"), one("logs-nemesis.access", 200, "logs-nemesis.access-*"),
		}})
	case c.simulated != "" && len(segments) == 3 && segments[1] == "_simulate_index":
		say(http.StatusOK, map[string]any{"template": map[string]any{"mappings": json.RawMessage(c.simulated)}})
	case strings.HasSuffix(r.URL.Path, "/_rollover") && c.streams[segments[0]] != nil:
		say(http.StatusOK, map[string]any{"acknowledged": true, "lazy": r.URL.Query().Get("lazy") == "true"})
	default:
		c.rest.ServeHTTP(w, r)
	}
}

// object is a role or a user.
func (c *contract) object(r *http.Request, all map[string]map[string]any, name string, body func() map[string]any, say func(int, any), complete func(map[string]any) map[string]any) {
	if r.Method == http.MethodPut {
		_, there := all[name]
		all[name] = complete(body())
		say(http.StatusOK, map[string]any{"created": !there})
		return
	}
	if all[name] == nil {
		say(http.StatusNotFound, map[string]any{})
		return
	}
	shown := map[string]any{}
	for k, v := range all[name] {
		if k != "password" {
			shown[k] = v
		}
	}
	say(http.StatusOK, map[string]any{name: shown})
}

// store keeps templates, and shows them as the server does.
type store map[string]json.RawMessage

var templatePath = regexp.MustCompile(`^/_(component|index)_template/(.+)$`)

func (s store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := templatePath.FindStringSubmatch(r.URL.Path)
	if match == nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"no handler found for uri [`+r.URL.Path+`] and method [`+r.Method+`]"}`)
		return
	}
	if r.Method == http.MethodPut {
		body, _ := io.ReadAll(r.Body)
		s[r.URL.Path] = body
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
		return
	}
	held, ok := s[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"type":"resource_not_found_exception","reason":"template matching [`+match[2]+`] not found"},"status":404}`)
		return
	}
	kind := match[1] + "_template"
	_ = json.NewEncoder(w).Encode(map[string]any{kind + "s": []any{map[string]any{"name": match[2], kind: held}}})
}

// run runs a set-up, and returns the outcomes by step.
func runSetup(t *testing.T, o Options, s SetupOptions) (map[string]Step, error) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]Step{}
	err = Setup(t.Context(), c, s, func(step Step) { steps[step.What] = step })
	return steps, err
}

// all checks that every step ended so, but for those that are named.
func all(t *testing.T, steps map[string]Step, want Outcome, others map[string]Outcome) {
	t.Helper()
	for what, step := range steps {
		expected := want
		if other, ok := others[what]; ok {
			expected = other
		}
		if step.Outcome != expected {
			t.Errorf("%s: %s (%s), want %s", what, step.Outcome, step.Note, expected)
		}
	}
	for what := range others {
		if _, ok := steps[what]; !ok {
			t.Errorf("there was no step %s", what)
		}
	}
}

func TestSetup_MakesWhatIsMissingAndLeavesTheRest(t *testing.T) {
	held := store{}
	contract, url := newContract(t, held)
	wholeSetup(t, contract, Options{URLs: []string{url}})
}

// wholeSetup goes through the life of a set-up: first, again, looked at, changed by others, changed
// by us.
func wholeSetup(t *testing.T, contract *contract, o Options) {
	t.Helper()
	folder := t.TempDir()
	s := SetupOptions{
		Namespace: "default", Retention: "30d", User: &User{Name: "nemesis", PasswordFile: file(t, "password", "first")},
		Keys: []Key{{Name: "nemesis-writer", Role: WriterRole, File: folder + "/writer"}, {Name: "nemesis-reader", Role: ReaderRole, File: folder + "/reader"}},
	}
	dry := s
	dry.DryRun = true
	steps, err := runSetup(t, o, dry)
	if err != nil || len(steps) != 13 {
		t.Errorf("a dry run: %d steps, %v", len(steps), err)
	}
	all(t, steps, Created, nil)
	if changes := contract.changes(); len(changes) > 0 {
		t.Errorf("a dry run asked for %v", changes)
	}
	if files, _ := os.ReadDir(folder); len(files) > 0 {
		t.Errorf("a dry run left %v", files)
	}

	steps, err = runSetup(t, o, s)
	if err != nil {
		t.Fatal(err)
	}
	all(t, steps, Created, map[string]Outcome{
		"retention of logs-nemesis.access-default": Same, "retention of logs-nemesis.scaling-default": Same, // as its template says
	})
	key, err := os.ReadFile(folder + "/writer")
	if err != nil {
		t.Fatal(err)
	}
	descriptor := contract.keys[strings.TrimSpace(string(key))][WriterRole].(map[string]any)
	if got := dig(descriptor, "indices", 0, "privileges"); differs("", []any{"create_doc", "auto_configure"}, got, true) != "" {
		t.Errorf("the writing key may %v", got)
	}
	if info, _ := os.Stat(folder + "/writer"); info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file has the mode %v", info.Mode())
	}
	contract.changes()

	steps, err = runSetup(t, o, s)
	if err != nil {
		t.Fatal(err)
	}
	all(t, steps, Same, nil)
	if changes := contract.changes(); len(changes) > 0 {
		t.Errorf("the second run asked for %v", changes)
	}

	// Somebody meddled, a key was revoked, the password and the retention are to be others.
	contract.roles[WriterRole]["indices"].([]any)[0].(map[string]any)["privileges"] = []any{"all"}
	delete(contract.keys, strings.TrimSpace(string(key)))
	s.User.PasswordFile = file(t, "password", "second")
	s.Retention = "7d"
	steps, err = runSetup(t, o, s)
	if err != nil {
		t.Fatal(err)
	}
	all(t, steps, Same, map[string]Outcome{
		"role " + WriterRole: Changed, "user nemesis": Changed, "API key nemesis-writer": Created,
		"index template logs-nemesis.access": Changed, "index template logs-nemesis.scaling": Changed,
		"retention of logs-nemesis.access-default": Changed, "retention of logs-nemesis.scaling-default": Changed,
	})
	if note := steps["role "+WriterRole].Note; note != "indices.0.privileges" {
		t.Errorf("what differed in the role: %q", note)
	}
	if contract.users["nemesis"]["password"] != "second" {
		t.Error("the password is the old one")
	}
}

func TestSetup_HasStreamsTakeUpWhatChanged(t *testing.T) {
	held := store{}
	contract, url := newContract(t, held)
	s := SetupOptions{Namespace: "team_a", Retention: "30d"}
	if _, err := runSetup(t, Options{URLs: []string{url}}, s); err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(held["/_component_template/logs-nemesis.access@mappings"]), `"tries":{"type":"long"}`, `"tries":{"type":"keyword"}`, 1)
	held["/_component_template/logs-nemesis.access@mappings"] = json.RawMessage(old)
	contract.changes()
	steps, err := runSetup(t, Options{URLs: []string{url}}, s)
	if err != nil {
		t.Fatal(err)
	}
	all(t, steps, Same, map[string]Outcome{
		"component template logs-nemesis.access@mappings": Changed,
		"data stream logs-nemesis.access-team_a":          Changed, "data stream logs-nemesis.scaling-team_a": Changed,
	})
	if note := steps["component template logs-nemesis.access@mappings"].Note; note != "template.mappings.properties.nemesis.properties.tries.type" {
		t.Errorf("what differed: %q", note)
	}
	want := []string{"PUT /_component_template/logs-nemesis.access@mappings", "POST /logs-nemesis.access-team_a/_rollover", "POST /logs-nemesis.scaling-team_a/_rollover"}
	if got := contract.changes(); !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
}

// A run that made the templates and came no further: the next one finds them as they should be, but
// not the index that is written.
func TestSetup_HasAStreamTakeUpWhatARunBeforeCouldNot(t *testing.T) {
	held := store{}
	contract, url := newContract(t, held)
	s := SetupOptions{Namespace: "default", Retention: "30d"}
	if _, err := runSetup(t, Options{URLs: []string{url}}, s); err != nil {
		t.Fatal(err)
	}
	const access = "logs-nemesis.access-default"
	index := func(day string, fields string) map[string]any {
		return map[string]any{".ds-" + access + "-" + day: map[string]any{"mappings": json.RawMessage(fields)}}
	}
	contract.simulated = `{"dynamic":"false","properties":{"url":{"properties":{"path":{"type":"keyword"}}}}}`
	grown := strings.Replace(contract.simulated, `"dynamic":"false"`, `"dynamic":"false","_meta":{}`, 1)
	for name, test := range map[string]struct {
		indices map[string]any
		pending bool
		want    Outcome
	}{
		"as the templates say":         {index("2026.01.01-000001", contract.simulated), false, Same},
		"with more":                    {index("2026.01.01-000001", grown), false, Same},
		"of a time before":             {index("2026.01.01-000001", `{"dynamic":"true","properties":{"url":{"properties":{"path":{"type":"text"}}}}}`), false, Changed},
		"that will be taken up":        {index("2026.01.01-000001", `{}`), true, Same},
		"which the server hides":       {nil, false, Same},
		"with older ones beside it":    {merged(index("2026.01.02-000010", contract.simulated), index("2026.01.03-000009", `{}`)), false, Same},
		"with newer ones as it had it": {merged(index("2026.01.02-000009", contract.simulated), index("2026.01.01-000010", `{}`)), false, Changed},
	} {
		contract.mappings = test.indices
		contract.streams[access]["pending"] = test.pending
		contract.changes()
		steps, err := runSetup(t, Options{URLs: []string{url}}, s)
		if err != nil {
			t.Fatal(err)
		}
		all(t, steps, Same, map[string]Outcome{"data stream " + access: test.want})
		if changes := contract.changes(); (len(changes) > 0) != (test.want == Changed) {
			t.Errorf("%s: asked for %v", name, changes)
		}
	}
}

func merged(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

func TestSetup_RefusesAServerThatIsTooOldAndTouchesNothing(t *testing.T) {
	for version, tooOld := range map[string]bool{"7.17.29": true, "8.16.6": true, "8.17.0": false, "8.19.0": false, "9.0.0-SNAPSHOT": false, "10.1.0": false} {
		contract, url := newContract(t, store{})
		contract.version = version
		steps, err := runSetup(t, Options{URLs: []string{url}}, SetupOptions{Namespace: "default", Retention: "30d"})
		if tooOld != (err != nil) {
			t.Errorf("%s: %v", version, err)
		}
		if tooOld && (len(contract.changes()) > 0 || !strings.Contains(steps["version"].Note, "must be 8.17 or newer")) {
			t.Errorf("%s: %+v", version, steps)
		}
	}
}

func TestSetup_SaysWhatTheServerRefused(t *testing.T) {
	refusing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if templatePath.MatchString(r.URL.Path) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"root_cause":[],"type":"security_exception","reason":"action [x] is unauthorized for user [u]"},"status":403}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	contract, url := newContract(t, refusing)
	steps, err := runSetup(t, Options{URLs: []string{url}}, SetupOptions{Namespace: "default", Retention: "30d"})
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"logs-nemesis.access-default", "logs-nemesis.scaling-default"} {
		if step := steps["data stream "+stream]; step.Outcome != Failed || contract.streams[stream] != nil {
			t.Errorf("%s is made without its templates: %+v", stream, step)
		}
	}
	step := steps["index template logs-nemesis.access"]
	if step.Outcome != Failed || step.Note != "403 action [x] is unauthorized for user [u]" {
		t.Errorf("step = %+v", step)
	}
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	steps, err = runSetup(t, Options{URLs: []string{server.URL}}, SetupOptions{Namespace: "default", Retention: "30d"})
	if err == nil || len(steps) != 1 {
		t.Errorf("it went on though nobody knows it: %+v %v", steps, err)
	}
}

func TestSetup_GoesWithoutAUserWhereSecurityIsOff(t *testing.T) {
	contract, _ := newContract(t, store{})
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_security/") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"no handler found for uri [`+r.URL.Path+`] and method [`+r.Method+`]"}`)
			return
		}
		contract.serve(w, r)
	}))
	defer server.Close()
	steps, err := runSetup(t, Options{URLs: []string{server.URL}}, SetupOptions{
		Namespace: "default", Retention: "30d", User: &User{Name: "nemesis", PasswordFile: file(t, "password", "first")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if step := steps["user nemesis"]; step.Outcome != Refused || !strings.Contains(step.Note, "no handler found") {
		t.Errorf("%+v", step)
	}
}

func TestTemplates_AskForTheirStreamsAheadOfTheBuiltInOnes(t *testing.T) {
	for i, name := range indexTemplates {
		whole, err := template(name, "12h")
		if err != nil {
			t.Fatal(err)
		}
		if whole["priority"] != 200.0 || whole["data_stream"] == nil || dig(whole, "template", "lifecycle", "data_retention") != "12h" {
			t.Errorf("%s = %v", name, whole)
		}
		pattern, _ := dig(whole, "index_patterns", 0).(string)
		stream := Stream([]string{AccessDataset, ScalingDataset}[i], "default")
		if !strings.HasPrefix(stream, strings.TrimSuffix(pattern, "*")) {
			t.Errorf("%s is for %s, not %s", name, pattern, stream)
		}
		composed, _ := whole["composed_of"].([]any)
		for _, part := range composed {
			if part != "logs-nemesis@custom" && !slices.Contains(componentTemplates, part.(string)) {
				t.Errorf("%s is composed of %v, which nobody makes", name, part)
			}
		}
	}
}

func TestSetup_SaysWhichForeignTemplateWins(t *testing.T) {
	c, url := newContract(t, store{})
	c.overlapping = []any{map[string]any{"name": "logs-nemesis.access", "index_patterns": []string{"logs-nemesis.access-*"}}, map[string]any{"name": "logs"}}
	steps := map[string]Step{}
	client, err := New(Options{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Setup(t.Context(), client, SetupOptions{Namespace: "default", Retention: "30d"}, func(s Step) { steps[s.What+" "+string(s.Outcome)] = s }); err != nil {
		t.Fatal(err)
	}
	got, ok := steps["index template logs-nemesis.access overruled"]
	if !ok || !strings.Contains(got.Note, "the template team-logs (priority 500; ours has 200) wins for logs-nemesis.access-default") {
		t.Errorf("%v", steps)
	}
	if _, also := steps["index template logs-nemesis.scaling overruled"]; also {
		t.Error("the other stream's template is overruled too")
	}
}

func TestOverruled_AsksTheStreamAndElseTheTemplates(t *testing.T) {
	const simulated, list = "POST /_index_template/_simulate_index/logs-nemesis.access-default", "GET /_index_template"
	const overlaps = `{"overlapping":[{"name":"logs-nemesis.access"}]}`
	for name, c := range map[string]struct {
		answers map[string]string
		want    string
	}{
		"the stream follows ours":     {map[string]string{"GET /_data_stream/logs-nemesis.access-default": `{"data_streams":[{"template":"logs-nemesis.access"}]}`, simulated: overlaps}, ""},
		"the stream follows another":  {map[string]string{"GET /_data_stream/logs-nemesis.access-default": `{"data_streams":[{"template":"logs"}]}`}, "the template logs wins for logs-nemesis.access-default"},
		"the second stream's another": {map[string]string{"GET /_data_stream/logs-nemesis.scaling-default": `{"data_streams":[{"template":"logs"}]}`}, "the template logs wins for logs-nemesis.scaling-default"},
		"a new stream would follow another": {
			map[string]string{simulated: overlaps, list: `{"index_templates":[{"name":"team","index_template":{"index_patterns":["logs-*"],"priority":500}}]}`},
			"the template team (priority 500; ours has 0) wins for logs-nemesis.access-default",
		},
		"nobody may ask":    {nil, ""},
		"no answer we know": {map[string]string{"GET /_data_stream/logs-nemesis.access-default": `[]`, simulated: `<html>`}, ""},
	} {
		server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) {
			said, ok := c.answers[r.Method+" "+r.URL.Path]
			if !ok {
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = io.WriteString(w, said)
		}))
		client, err := New(Options{URLs: []string{server.URL}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Overruled(t.Context(), "default")
		if err != nil || !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q: %v", name, got, c.want, err)
		}
		server.Close()
		if _, err := client.Overruled(t.Context(), "default"); err == nil {
			t.Errorf("%s: a server that is away is taken for a good one", name)
		}
	}
}

func TestCheck_KnowsAnOpenSearch(t *testing.T) {
	for said, want := range map[string]error{
		`{"version":{"distribution":"opensearch","number":"2.19.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`: ErrOpenSearch,
		`{"version":{"number":"9.3.2","build_flavor":"default"}}`:                                                                 nil, `<html>`: nil, ``: nil,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, said) }))
		client, err := New(Options{URLs: []string{server.URL}})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Check(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v", said, err)
		}
		var logged Step
		err = Setup(t.Context(), client, SetupOptions{Namespace: "default", Retention: "30d"}, func(s Step) { logged = s })
		if want != nil && (err == nil || logged.Outcome != Failed || logged.Note != want.Error()) {
			t.Errorf("set-up: %v %+v", err, logged)
		}
		server.Close()
	}
}
