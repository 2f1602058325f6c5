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
var secrets = []string{
	"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey",
	"x-auth-token", "x-access-token", "x-csrf-token", "x-xsrf-token", "x-amz-security-token", "x-goog-api-key", "x-vault-token",
}

// ParseHeaders reads the setting that is named: header fields that are told, with commas between,
// and returns them in lower case. Those that hold credentials are refused.
func ParseHeaders(field, text string) ([]string, error) {
	allowed := "must be names of header fields with commas between, such as accept-language,x-tenant; at most 64, each of at most 128 bytes, none of " + strings.Join(secrets, ", ")
	return names(field, strings.ToLower(text), allowed, func(name string) bool {
		return len(name) <= maxName && !strings.ContainsFunc(name, isNoToken) && !slices.Contains(secrets, name)
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
