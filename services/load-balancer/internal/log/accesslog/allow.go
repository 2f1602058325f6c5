package accesslog

import (
	"fmt"
	"slices"
	"strings"
)

// maxNames bounds an allow-list.
const maxNames = 64

// ParseParameters reads the setting that is named: the query parameters whose values are told, with
// commas between. Names are compared byte by byte, as the client writes them.
func ParseParameters(field, text string) ([]string, error) {
	const allowed = "must be names of query parameters with commas between, such as page,lang; at most 64, each of at most 128 bytes, without & ; = # or blanks"
	return names(field, text, allowed, func(name string) bool {
		return len(name) <= maxName && !strings.ContainsAny(name, "&;=#?\"\\ \t\r\n")
	})
}

// secrets are header fields that are never told: who reads the log could act as who wrote them.
var secrets = []string{"api-key", "apikey", "token", "password", "secret", "x-amz-signature", "x-functions-key", "sec-websocket-protocol"}

// secretEndings are how the names of others end that hold them too, as X-Forwarded-Access-Token.
var secretEndings = []string{"authorization", "cookie", "-token", "-secret", "-password", "-api-key", "-apikey", "-subscription-key"}

func isSecret(name string) bool {
	return slices.Contains(secrets, name) || slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(name, end) })
}

// ParseHeaders reads the setting that is named: header fields that are told, with commas between,
// and returns them in lower case. Those that hold credentials are refused.
func ParseHeaders(field, text string) ([]string, error) {
	allowed := "must be names of header fields with commas between, such as accept-language,x-tenant; at most 64, each of at most 128 bytes, none of " +
		strings.Join(secrets, ", ") + ", and none that ends with " + strings.Join(secretEndings, ", ")
	return names(field, strings.ToLower(text), allowed, func(name string) bool {
		return len(name) <= maxName && !strings.ContainsFunc(name, isNoToken) && !isSecret(name)
	})
}

// isNoToken tells whether a character cannot stand in a header field's name (RFC 9110, section 5.6.2).
func isNoToken(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// names reads a list; its items are told from each other, and none twice.
func names(field, text, allowed string, good func(string) bool) ([]string, error) {
	var all []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" || slices.Contains(all, item) {
			continue
		}
		if !good(item) {
			return nil, fmt.Errorf("%s: %q is not allowed: %s", field, item, allowed)
		}
		all = append(all, item)
	}
	if len(all) > maxNames {
		return nil, fmt.Errorf("%s: %d names are not allowed: %s", field, len(all), allowed)
	}
	return all, nil
}
