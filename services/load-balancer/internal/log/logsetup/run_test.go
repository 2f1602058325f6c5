package logsetup

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// server answers as an Elasticsearch that gives back what was put, but for the paths that refused
// begins; those it refuses.
func server(t *testing.T, version string, refused ...string) string {
	t.Helper()
	held := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		for _, path := range refused {
			if strings.HasPrefix(r.URL.Path, path) {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"error":{"reason":"not for you"}}`)
				return
			}
		}
		switch {
		case r.URL.Path == "/":
			_, _ = io.WriteString(w, `{"version":{"number":"`+version+`"}}`)
		case r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body)
			held[r.URL.Path] = string(body)
			_, _ = io.WriteString(w, `{"acknowledged":true}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// run runs the command.
func run(t *testing.T, args ...string) (code int, out, fault string) {
	t.Helper()
	var o, f strings.Builder
	code = Run(t.Context(), args, nil, &o, &f)
	return code, o.String(), f.String()
}

func TestSetup_SaysEachStepAndHowItWentByItsCode(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		refused []string
		args    []string
		code    int
		out     string
		fault   string
	}{
		"all made":         {"9.3.2", nil, nil, exitOK, "created       component template logs-nemesis@mappings\n", ""},
		"dry":              {"9.3.2", nil, []string{"-dry-run"}, exitOK, "would create  index template logs-nemesis.access\n", ""},
		"dry, no roles":    {"9.3.2", []string{"/_security"}, []string{"-dry-run"}, exitRefused, "Nothing was changed: this was a dry run.\n", "refused"},
		"another place":    {"8.17.0", nil, []string{"-namespace", "team_a"}, exitOK, "data stream logs-nemesis.scaling-team_a\n", ""},
		"no roles":         {"9.3.2", []string{"/_security"}, nil, exitRefused, "refused       role nemesis-logs-writer: 403 not for you\n", "without"},
		"no templates":     {"9.3.2", []string{"/_index_template"}, nil, exitFailed, "failed        index template logs-nemesis.access: 403 not for you\n", "failed"},
		"both":             {"9.3.2", []string{"/_index_template", "/_security"}, nil, exitFailed, "refused       role", "failed"},
		"too old":          {"8.16.1", nil, nil, exitFailed, "Elasticsearch 8.16.1 is too old", "failed"},
		"a key is refused": {"9.3.2", []string{"/_security/api_key"}, []string{"-output-api-key", t.TempDir() + "/key"}, exitFailed, "failed        API key nemesis-writer: 403", "failed"},
	} {
		code, out, fault := run(t, append(test.args, "-elasticsearch-url", server(t, test.version, test.refused...))...)
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(fault, test.fault) || test.fault == "" && fault != "" {
			t.Errorf("%s: %d\n%s\n%s", name, code, out, fault)
		}
	}
}

func TestSetup_RefusesWhatIsWrongOnTheCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "elasticsearch-url: must name"},
		{[]string{"-elasticsearch-url", "http://x", "-retention", "soon"}, `retention: "soon" is not allowed`},
		{[]string{"-elasticsearch-url", "http://x", "-namespace", "a-b"}, `elasticsearch-namespace: "a-b" is not allowed`},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-username", "u"}, `elasticsearch-username: "u" is not allowed without elasticsearch-password-file`},
		{[]string{"-elasticsearch-url", "http://x", "and", "more"}, `argument "and"`},
	} {
		if code, _, fault := run(t, test.args...); code != exitUsage || !strings.Contains(fault, test.want) {
			t.Errorf("%v: %d %s", test.args, code, fault)
		}
	}
	if code, _, fault := run(t, "logs", "setup"); code != exitUsage || !strings.Contains(fault, "usage: log-setup") {
		t.Errorf("%d %s", code, fault)
	}
}

func TestSetup_WaitsForTheServerNoLongerThanItIsTold(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	if code, _, fault := run(t, "-elasticsearch-url", gone.URL, "-wait", "50ms"); code != exitFailed || !strings.Contains(fault, "no answer within 50ms") || !strings.Contains(fault, "refused") {
		t.Errorf("%d %s", code, fault)
	}
	if code, _, fault := run(t, "-elasticsearch-url", server(t, "9.3.2"), "-wait", "1m"); code != exitOK {
		t.Errorf("%d %s", code, fault)
	}
}
