package app

import (
	"io"
	"strings"
	"testing"
)

func TestSettings_TraceURLIsAWebAddressWithAPlaceForTheID(t *testing.T) {
	for text, good := range map[string]bool{
		"": true,
		"https://jaeger.example.com/trace/{traceId}":                             true,
		"http://tempo:3200/explore?q={traceId}&again={traceId}":                  true,
		"https://grafana.example.com/explore#%7B%22id%22:%22{traceId}%22":        true,
		"https://jaeger.example.com/trace/":                                      false, // no place
		"https://jaeger.example.com/trace/{id}":                                  false,
		"javascript:alert({traceId})":                                            false,
		"data:text/html,{traceId}":                                               false,
		"//jaeger.example.com/{traceId}":                                         false,
		"/trace/{traceId}":                                                       false,
		"https:///{traceId}":                                                     false,
		"https://{traceId}.example.com/":                                         false, // the id would choose the host
		"https://me:secret@jaeger.example.com/{traceId}":                         false,
		"https://jaeger.example.com/%zz/{traceId}":                               false,
		"https://jaeger.example.com/" + strings.Repeat("a", 2048) + "/{traceId}": false,
	} {
		s, _, err := Load([]string{"-trace-url", text}, nil, io.Discard)
		if (err == nil) != good {
			t.Errorf("%.80q: %v, want good %v", text, err, good)
		}
		if good && s.TraceURL != text {
			t.Errorf("%q became %q", text, s.TraceURL)
		}
		if !good && err != nil && !strings.Contains(err.Error(), "{traceId} stands for the id") {
			t.Errorf("%.80q: %v does not say what is allowed", text, err)
		}
	}
}
