package app

import (
	"net/url"
	"strings"
)

const (
	tracePlace      = "{traceId}"
	maxTraceURL     = 2048
	traceURLAllowed = "an http or https address with a host and without a password, in whose path, query or fragment " + tracePlace +
		" stands for the id, as https://jaeger.example.com/trace/" + tracePlace + "; of at most 2048 characters"
)

// isTraceURL tells whether a page may make links of it: nothing but a web address, on a host that the id does not choose.
func isTraceURL(text string) bool {
	if text == "" {
		return true
	}
	if len(text) > maxTraceURL || !strings.Contains(text, tracePlace) {
		return false
	}
	id := strings.Repeat("0", 32)
	u, err := url.Parse(strings.ReplaceAll(text, tracePlace, id))
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(u.Host, id) {
		return false
	}
	return u.Scheme == "http" || u.Scheme == "https"
}
