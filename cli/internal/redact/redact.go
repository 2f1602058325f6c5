// Package redact takes secrets out of what is given to others: out of objects by the names of fields, out of texts by how
// secrets look. It takes too much rather than too little.
package redact

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Removed stands in the place of what was taken out.
const Removed = "[removed]"

var (
	names = regexp.MustCompile(`(?i)token|passw|secret|authorization|api-?key|cookie|credential|private|last-applied-configuration`)
	looks = []struct {
		of *regexp.Regexp
		by string
	}{
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), Removed},
		{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){1,4}`), Removed},
		{regexp.MustCompile(`(?i)\b(bearer|basic|apikey)\s+[A-Za-z0-9._~+/=:-]{6,}`), "$1 " + Removed},
		{regexp.MustCompile(`://[^/\s:@"]+:[^/\s@"]+@`), "://" + Removed + "@"},
		{regexp.MustCompile(`(?i)((?:token|passwd|password|secret|api-?key)"?\s*[=:]\s*"?)[^\s"&,;]{3,}`), "${1}" + Removed},
	}
)

// Text is a text without what looks like a secret.
func Text(s string) string {
	for _, look := range looks {
		s = look.of.ReplaceAllString(s, look.by)
	}
	return s
}

// JSON is a document without secrets; what is none is taken for a text.
func JSON(document []byte) []byte {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return []byte(Text(string(document)))
	}
	text, err := json.MarshalIndent(clean(v), "", "  ")
	if err != nil {
		return []byte(Removed)
	}
	return text
}

func clean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		variable, _ := v["name"].(string)
		for name, inner := range v {
			text, isText := inner.(string)
			switch {
			case isText && (names.MatchString(name) && !reference(name) || name == "value" && names.MatchString(variable)):
				v[name] = Removed
			case isText:
				v[name] = Text(text)
			default:
				v[name] = clean(inner)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = clean(v[i])
		}
		return v
	case string:
		return Text(v)
	}
	return v
}

// reference tells whether a field names a secret and has none: how an object is wired is to be seen.
func reference(field string) bool {
	return strings.HasSuffix(field, "Name") || strings.HasSuffix(field, "Path") || strings.HasSuffix(strings.ToLower(field), "file")
}
