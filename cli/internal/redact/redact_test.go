package redact

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestText_WithoutWhatLooksLikeASecret(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, 12 s":                                                      "plain text, 12 s",
		"Authorization: Bearer abc.def-ghi":                                     "Authorization: Bearer [removed]",
		"eyJhbGciOiJFUzI1NiJ9.eyJhdWQi.c2ln end":                                "[removed] end",
		"http://user:pass@host/x":                                               "http://[removed]@host/x",
		`level=info password="hunter22" a=b`:                                    `level=info password="[removed]" a=b`,
		"GET /x?token=abcdef&n=1":                                               "GET /x?token=[removed]&n=1",
		"a -----BEGIN EC PRIVATE KEY-----\nAAA\n-----END EC PRIVATE KEY----- b": "a [removed] b",
		"-----BEGIN PRIVATE KEY-----\ncut off":                                  "[removed]",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestJSON_ByTheNamesOfFieldsAndVariables(t *testing.T) {
	got := string(JSON([]byte(`{"env":[{"name":"DB_PASSWORD","value":"x1"},{"name":"MODE","value":"fast"}],"data":{"token":"x2","n":1},
"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"x3"},"secretName":"seen","token-file":"/seen","nested":[{"apiKey":"x4"},"Bearer x5x5x5x5"],"tokens":3}`)))
	for _, secret := range []string{"x1", "x2", "x3", "x4", "x5"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is in it: %s", secret, got)
		}
	}
	for _, open := range []string{"fast", `"secretName": "seen"`, `"/seen"`, `"tokens": 3`} {
		if !strings.Contains(got, open) {
			t.Errorf("%s is gone: %s", open, got)
		}
	}
	if got := string(JSON([]byte("no json, password=abcdef"))); got != "no json, password=[removed]" {
		t.Error(got)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[{"name":"TOKEN","value":"x"}],"b":null}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := JSON(in)
		if json.Valid(in) && !json.Valid(out) {
			t.Errorf("%q became %q", in, out)
		}
	})
}
