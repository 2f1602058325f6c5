package bearer

import (
	"net/http"
	"strings"
)

// Of is the token that a request carries; "" is none. A header that is there and holds none counts: who sends
// it wants to be somebody.
func Of(h http.Header) (token string, given bool) {
	for _, name := range []string{Priority, Header} {
		values := h.Values(name)
		if len(values) == 0 {
			continue
		}
		scheme, text, found := strings.Cut(values[0], " ")
		if len(values) > 1 || !found || !strings.EqualFold(scheme, "Bearer") {
			return "", true
		}
		return strings.TrimSpace(text), true
	}
	return "", false
}
