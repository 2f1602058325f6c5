package accesslog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHeaders_RefusesCredentials(t *testing.T) {
	got, err := ParseHeaders("log-request-headers", " Accept-Language,x-tenant , ,X-Tenant")
	if want := []string{"accept-language", "x-tenant"}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ParseHeaders("log-request-headers", ""); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	// What has as much in its name, and holds none.
	if _, err := ParseHeaders("log-response-headers", "x-ratelimit-remaining-tokens,idempotency-key,www-authenticate,x-cookie-consent"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Authorization", "cookie", "Set-Cookie", "X-API-Key", "proxy-authorization", "X-Goog-Api-Key", "X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Forwarded-Authorization", "Private-Token", "Ocp-Apim-Subscription-Key", "Sec-WebSocket-Protocol", "a b", "a:b", "é", strings.Repeat("x", 129)} {
		_, err := ParseHeaders("log-request-headers", "accept,"+name)
		if want := fmt.Sprintf("log-request-headers: %q is not allowed: must be ", strings.ToLower(name)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseParameters_KeepsTheirCase(t *testing.T) {
	got, err := ParseParameters("log-query-parameters", "page, Page,page")
	if want := []string{"page", "Page"}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, name := range []string{"a=b", "a&b", "a b", "a;b", strings.Repeat("x", 129)} {
		if _, err := ParseParameters("log-query-parameters", name); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("log-query-parameters: %q is not allowed: must be ", name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("n", i)
	}
	if _, err := ParseParameters("log-query-parameters", strings.Join(many, ",")); err == nil {
		t.Error("65 names are taken")
	}
}
