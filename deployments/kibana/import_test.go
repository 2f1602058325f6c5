package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// asKibana takes what is imported, as Kibana would: a form with one file.
type asKibana struct {
	path, xsrf, authorization, name string
	file                            []byte
	answer                          string
}

func (k *asKibana) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.path, k.xsrf, k.authorization = r.Method+" "+r.RequestURI, r.Header.Get("kbn-xsrf"), r.Header.Get("Authorization")
	form, header, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.name = header.Filename
	k.file, _ = io.ReadAll(form)
	_, _ = io.WriteString(w, k.answer)
}

func imported(t *testing.T, environment []string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not there")
	}
	cmd := exec.CommandContext(t.Context(), "./import", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestImport_BringsTheFileToKibana(t *testing.T) {
	file, err := os.ReadFile("nemesis.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	const jaeger = "https://jaeger.example:16686/trace/{{value}}?uiFind=a&b=%20"
	for name, test := range map[string]struct {
		environment         []string
		args                []string
		path, authorization string
		file                []byte
	}{
		"as it is":          {path: "POST /api/saved_objects/_import?overwrite=true", file: file},
		"with an API key":   {environment: []string{"KIBANA_API_KEY=a2V5", "KIBANA_USERNAME=x"}, path: "POST /api/saved_objects/_import?overwrite=true", authorization: "ApiKey a2V5", file: file},
		"with a password":   {environment: []string{"KIBANA_USERNAME=u", `KIBANA_PASSWORD=p"\ q`}, path: "POST /api/saved_objects/_import?overwrite=true", authorization: "Basic dTpwIlwgcQ==", file: file},
		"through a tunnel":  {args: []string{"--connect", "the server's"}, path: "POST /api/saved_objects/_import?overwrite=true", file: file},
		"to a space":        {args: []string{"--space", "team-1"}, path: "POST /s/team-1/api/saved_objects/_import?overwrite=true", file: file},
		"with other traces": {args: []string{"--traces", jaeger}, path: "POST /api/saved_objects/_import?overwrite=true", file: bytes.ReplaceAll(file, []byte(traces), []byte(jaeger))},
	} {
		t.Run(name, func(t *testing.T) {
			kibana := &asKibana{answer: `{"successCount":13,"success":true}`}
			server := httptest.NewServer(kibana)
			defer server.Close()
			url := server.URL + "/"
			if slices.Contains(test.args, "--connect") {
				test.args[1] = strings.TrimPrefix(server.URL, "http://")
				url = "http://kibana.in.the.cluster:5601"
			}
			out, err := imported(t, test.environment, append(test.args, url)...)
			if err != nil || !strings.Contains(out, "/app/dashboards#/view/nemesis-traffic") {
				t.Fatalf("%v: %s", err, out)
			}
			if kibana.path != test.path || kibana.xsrf == "" || kibana.authorization != test.authorization || kibana.name != "nemesis.ndjson" {
				t.Errorf("%+v", *kibana)
			}
			if !bytes.Equal(kibana.file, test.file) {
				t.Errorf("the file is not the one of the repository: %d bytes, not %d", len(kibana.file), len(test.file))
			}
		})
	}
	if !bytes.Contains(file, []byte(traces)) {
		t.Error("the place of the traces is not in the file")
	}
}

func TestImport_SaysWhyItDidNot(t *testing.T) {
	kibana := &asKibana{answer: `{"successCount":1,"success":false,"errors":[{"error":{"type":"missing_references"}}]}`}
	server := httptest.NewServer(kibana)
	defer server.Close()
	for want, args := range map[string][]string{
		"Kibana refused it: {\"successCount\":1,\"success\":false": {server.URL},
		"import [--space NAME]":                                         {},
		"URL: kibana is not allowed: must begin with http":              {"kibana"},
		"--space: A b is not allowed":                                   {"--space", "A b", server.URL},
		"--traces: https://x.example is not allowed":                    {"--traces", "https://x.example", server.URL},
		`--traces: https://x.example/"{{value}} is not allowed`:         {"--traces", `https://x.example/"{{value}}`, server.URL},
		"--traces: javascript:alert({{value}}) is not allowed: must be": {"--traces", "javascript:alert({{value}})", server.URL},
		"--traces wants a value":                                        {"--traces"},
	} {
		out, err := imported(t, nil, args...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
}
