package identity

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// ForUs tells whether a token says that it is for our audience, which makes it one to Verify; nothing is verified
// here. Others are for somebody else to judge.
func ForUs(token string) bool {
	if len(token) > maxToken {
		return false
	}
	_, rest, found := strings.Cut(token, ".")
	payload, _, signed := strings.Cut(rest, ".")
	if !found || !signed {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return false
	}
	var c struct {
		Audience audience `json:"aud"`
	}
	return json.Unmarshal(text, &c) == nil && slices.Contains(c.Audience, Audience)
}

// audience is one, or a list of them (RFC 7519).
type audience []string

// UnmarshalJSON reads both.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}
