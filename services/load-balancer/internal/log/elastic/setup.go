package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// SetupOptions say what is to be there.
type SetupOptions struct {
	Namespace string // of the data streams
	Retention string // such as 30d
	DryRun    bool   // look, and change nothing
	User      *User  // that the balancer writes and reads as; nil makes none
	Keys      []Key
}

// User is one to be made, with both roles.
type User struct{ Name, PasswordFile string }

// Key is an API key to be made, limited to a role, unless File holds one that the server takes.
type Key struct{ Name, Role, File string }

// Outcome is what became of one step.
type Outcome string

// The outcomes. Refused is a step that this server does not do, or not for this user, and without
// which documents can be written all the same; Failed is one without which they cannot.
const (
	Same    Outcome = "same"
	Created Outcome = "created"
	Changed Outcome = "changed"
	Refused Outcome = "refused"
	// Overruled is a template that is there, and over which one of another hand wins.
	Overruled Outcome = "overruled"
	Failed    Outcome = "failed"
)

// Step is one resource that was looked at, and what became of it. In a dry run Created and Changed are
// what would be.
type Step struct {
	What    string // such as: component template logs-nemesis@mappings
	Outcome Outcome
	Note    string // what differed, or the server's words
}

// The roles: to write takes no more than the first, GET /proxy/logs reads by the second.
const (
	WriterRole = "nemesis-logs-writer"
	ReaderRole = "nemesis-logs-reader"
)

// roles are as the server takes them; a key is limited to one of them.
var roles = map[string]map[string]any{
	WriterRole: role("create_doc", "auto_configure"),
	ReaderRole: role("read", "view_index_metadata"),
}

func role(privileges ...any) map[string]any {
	return map[string]any{"indices": []any{map[string]any{"names": []any{Streams}, "privileges": privileges}}}
}

// errStop ends a run whose next steps make no sense; the step told why.
var errStop = errors.New("the set-up stopped")

// setup is one run.
type setup struct {
	c                *Client
	o                SetupOptions
	tell             func(Step)
	templatesChanged bool // so that streams which are there want a new index
	templatesMissing bool // some could not be made
}

// Setup makes what must be there before documents are written, and tells each step. What is there
// and as it should be is left alone, so that it can be run at any time, by many at once. The error,
// if any, is that it could not go on. It is no method of the client, so that it is no part of programs
// that do not call it.
func Setup(ctx context.Context, c *Client, o SetupOptions, tell func(Step)) error {
	s := &setup{c: c, o: o, tell: tell}
	if err := s.version(ctx); err != nil {
		return err
	}
	for _, name := range componentTemplates {
		if err := s.template(ctx, "component template ", "/_component_template/", name, "component_templates", "component_template"); err != nil {
			return err
		}
	}
	for _, name := range indexTemplates {
		if err := s.template(ctx, "index template ", "/_index_template/", name, "index_templates", "index_template"); err != nil {
			return err
		}
	}
	for i, dataset := range []string{AccessDataset, ScalingDataset} {
		if err := s.overruled(ctx, indexTemplates[i], Stream(dataset, o.Namespace)); err != nil {
			return err
		}
		if err := s.stream(ctx, Stream(dataset, o.Namespace)); err != nil {
			return err
		}
	}
	for _, name := range []string{WriterRole, ReaderRole} {
		if _, err := s.object(ctx, resource{what: "role " + name, path: "/_security/role/" + name, want: roles[name], found: []any{name}}); err != nil {
			return err
		}
	}
	if o.User != nil {
		if err := s.user(ctx, *o.User); err != nil {
			return err
		}
	}
	for _, k := range o.Keys {
		if err := s.key(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) template(ctx context.Context, kind, path, name, list, inner string) error {
	want, err := template(name, s.o.Retention)
	if err != nil {
		return err
	}
	outcome, err := s.object(ctx, resource{what: kind + name, path: path + name, want: want, found: []any{list, 0, inner}, needed: true})
	// What changes in an index template is the retention, which is looked after for each stream.
	s.templatesChanged = s.templatesChanged || outcome == Created || outcome == Changed && inner == "component_template"
	s.templatesMissing = s.templatesMissing || outcome == Failed
	return err
}

// stream makes a data stream, or has the one that is there take up what changed.
func (s *setup) stream(ctx context.Context, name string) error {
	what, path := "data stream "+name, "/_data_stream/"+name
	if s.templatesMissing { // a whole server has a template for all logs, which would give it other fields
		s.say(what, Failed, "not made, for not all of its templates are there")
		return nil
	}
	status, body, err := s.c.ask(ctx, plain{method: http.MethodGet, path: path})
	var shown struct {
		Streams []struct {
			RollsOver bool `json:"rollover_on_write"`
		} `json:"data_streams"`
	}
	_ = json.Unmarshal(body, &shown) // a server without the call shows nothing
	stale := s.templatesChanged
	if err == nil && !stale && (len(shown.Streams) == 0 || !shown.Streams[0].RollsOver) {
		stale, err = s.stale(ctx, name)
	}
	if err == nil && status != http.StatusOK && status != http.StatusNotFound { // the call is not there: the stream may be
		status, _, err = s.c.ask(ctx, plain{method: http.MethodHead, path: "/" + name})
	}
	switch {
	case err != nil:
		return s.stop(what, err.Error())
	case status == http.StatusNotFound:
		_, err = s.put(ctx, resource{what: what, path: path}, Created, "")
	case status != http.StatusOK:
		s.say(what, Refused, words(status, body)+"; it is made with the first document")
	case stale && s.o.DryRun:
		s.say(what, Changed, "begins a new index, which takes up what changed in the templates")
	case stale:
		status, body, err = s.c.ask(ctx, plain{method: http.MethodPost, path: "/" + name + "/_rollover?lazy=true"})
		switch {
		case err != nil:
			return s.stop(what, err.Error())
		case status != http.StatusOK:
			s.say(what, Refused, "no new index: "+words(status, body)+"; what changed in the templates takes hold with the next one")
		default:
			s.say(what, Changed, "begins a new index with the next document, which takes up what changed in the templates")
		}
	default:
		s.say(what, Same, "")
	}
	if err != nil || s.o.DryRun && status == http.StatusNotFound {
		return err
	}
	_, err = s.object(ctx, resource{
		what: "retention of " + name, path: path + "/_lifecycle", want: map[string]any{"data_retention": s.o.Retention}, found: []any{"data_streams", 0, "lifecycle"},
	})
	return err
}

// stale tells whether the stream's newest index has other fields than the templates say: it is of a
// time before them, or a run before this one did not come so far. What the server does not tell is
// not.
func (s *setup) stale(ctx context.Context, name string) (bool, error) {
	status, body, err := s.c.ask(ctx, plain{method: http.MethodGet, path: "/" + name + "/_mapping"})
	var indices map[string]struct{ Mappings map[string]any }
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &indices) != nil || len(indices) == 0 {
		return false, err
	}
	// .ds-<stream>-<day>-<generation>
	newest := slices.MaxFunc(slices.Collect(maps.Keys(indices)), func(a, b string) int {
		return strings.Compare(a[strings.LastIndexByte(a, '-')+1:], b[strings.LastIndexByte(b, '-')+1:])
	})
	status, body, err = s.c.ask(ctx, plain{method: http.MethodPost, path: "/_index_template/_simulate_index/" + name})
	var simulated struct {
		Template struct{ Mappings map[string]any }
	}
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &simulated) != nil {
		return false, err
	}
	return differs("", simulated.Template.Mappings, indices[newest].Mappings, false) != "", nil
}

// user makes the user unless it is there, with these roles and this password.
func (s *setup) user(ctx context.Context, u User) error {
	password, err := readSecret("the user's password file", u.PasswordFile)
	if err != nil {
		return s.stop("user "+u.Name, err.Error())
	}
	t := resource{
		what: "user " + u.Name, path: "/_security/user/" + url.PathEscape(u.Name), found: []any{u.Name}, needed: true,
		want:   map[string]any{"roles": []any{WriterRole, ReaderRole}},
		secret: map[string]any{"password": string(password)},
	}
	as := s.c.options
	as.Username, as.PasswordFile, as.APIKeyFile = u.Name, u.PasswordFile, ""
	if !accepted(ctx, as) {
		t.differs = "the password"
	}
	_, err = s.object(ctx, t)
	return err
}

// accepted tells whether the server knows who asks so.
func accepted(ctx context.Context, o Options) bool {
	c, err := New(o)
	if err != nil {
		return false
	}
	status, _, err := c.ask(ctx, plain{method: http.MethodGet, path: "/_security/_authenticate"})
	return err == nil && status == http.StatusOK
}

// key makes an API key and keeps it in its file, unless the one there is good. Where it can be kept
// is made sure of before: a key that nobody has is of no use.
func (s *setup) key(ctx context.Context, k Key) error {
	what := "API key " + k.Name
	as := s.c.options
	as.Username, as.PasswordFile, as.APIKeyFile = "", "", k.File
	if accepted(ctx, as) {
		s.say(what, Same, "the one in "+k.File+" is good")
		return nil
	}
	if s.o.DryRun {
		s.say(what, Created, "for "+k.File)
		return nil
	}
	file, err := newSecret(k.File)
	if err != nil {
		return s.stop(what, err.Error())
	}
	defer file.discard()
	body, err := json.Marshal(map[string]any{"name": k.Name, "role_descriptors": map[string]any{k.Role: roles[k.Role]}, "metadata": map[string]any{"managed_by": "nemesis"}})
	if err != nil {
		return err
	}
	status, answer, err := s.c.ask(ctx, plain{method: http.MethodPost, path: "/_security/api_key", body: string(body)})
	if err != nil {
		return s.stop(what, err.Error())
	}
	var made struct{ Encoded string }
	if status != http.StatusOK || json.Unmarshal(answer, &made) != nil || made.Encoded == "" {
		s.say(what, Failed, words(status, answer))
		return nil
	}
	if err := file.keep(made.Encoded); err != nil {
		return s.stop(what, err.Error())
	}
	s.say(what, Created, "in "+k.File)
	return nil
}

func (s *setup) say(what string, outcome Outcome, note string) {
	s.tell(Step{What: what, Outcome: outcome, Note: note})
}

// stop tells of a step that failed, after which there is no going on.
func (s *setup) stop(what, note string) error {
	s.say(what, Failed, note)
	return fmt.Errorf("%s: %w", what, errStop)
}
