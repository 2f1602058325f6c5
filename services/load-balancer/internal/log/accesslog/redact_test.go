package accesslog

import (
	"net/url"
	"strings"
	"testing"
)

func (o Options) asked(query string, limit int) string { return string(o.query(nil, query, limit)) }

func TestQuery_TellsOnlyTheValuesThatAreAllowed(t *testing.T) {
	for query, want := range map[string]string{
		"":                                  "",
		"page=2":                            "page=2",
		"page=2&lang=de":                    "page=2&lang=de",
		"token=abc":                         "token=REDACTED",
		"token=abc&page=2&x=y=z":            "token=REDACTED&page=2&x=REDACTED",
		"Page=2":                            "Page=REDACTED",
		"%70age=2":                          "%70age=REDACTED",
		"page":                              "page",
		"eyJhbGciOi":                        "REDACTED",
		"token=":                            "token=",
		"=secret":                           "=REDACTED",
		"a=1;token=b;page=3":                "a=REDACTED&token=REDACTED&page=3",
		"&&page=1&":                         "&&page=1",
		"page=2;secret":                     "page=2&REDACTED",
		"page=a\"b\x01":                     `page=a\"b\u0001`,
		strings.Repeat("s", 129) + "=1&b=2": "REDACTED&b=REDACTED",
	} {
		if got := options.asked(query, maxQuery); got != want {
			t.Errorf("%q is told as %q, want %q", query, got, want)
		}
	}
}

func TestQuery_ThatIsTooLongEndsBeforeAParameter(t *testing.T) {
	query := "page=" + strings.Repeat("1", 50) + "&page=" + strings.Repeat("2", 50) + "&page=3"
	if got := options.asked(query, 100); got != "page="+strings.Repeat("1", 50) {
		t.Errorf("%s", got)
	}
	r := Record{Path: "/" + strings.Repeat("p", maxPath-30), Query: "page=1&page=2&lang=" + strings.Repeat("x", 50)}
	u := parsed(t, AppendEntry(nil, "e.1", &r, options), "e.1")["url"].(map[string]any)
	if u["query"] != r.Query || u["original"] != r.Path+"?page=1&page=2" {
		t.Errorf("query %s\noriginal %s", u["query"], u["original"])
	}
	for n := range 60 {
		r.Path = "/" + strings.Repeat("p", maxPath-1-n)
		u := parsed(t, AppendEntry(nil, "e.1", &r, options), "e.1")["url"].(map[string]any)
		if original := u["original"].(string); len(original) > maxOriginal || !strings.HasPrefix(original, r.Path) {
			t.Errorf("a path of %d bytes and its query are %d bytes", len(r.Path), len(original))
		}
	}
}

func TestAddress_HasNeitherUserNorSecrets(t *testing.T) {
	for address, want := range map[string]string{
		"https://shop.example/a/b?x=1&page=2#frag":   "https://shop.example/a/b?x=REDACTED&page=2",
		"https://user:pass@shop.example:8443/a":      "https://shop.example:8443/a",
		"https://user@name:p@shop.example":           "https://shop.example",
		"//user:pass@shop.example/a":                 "//shop.example/a",
		"user:pass@shop.example/a@b":                 "shop.example/a@b",
		"user:pass@//shop.example":                   "//shop.example",
		"/a?next=https://u:p@x/&lang=de":             "/a?next=REDACTED&lang=de",
		"/a@b/c":                                     "/a@b/c",
		"https://x/a?b?c=d":                          "https://x/a?b?c=REDACTED",
		"https://x/#access_token=1":                  "https://x/",
		"https://x/" + strings.Repeat("y", 100):      "https://x/" + strings.Repeat("y", 53),
		"https://x/" + strings.Repeat("y", 50) + "?": "https://x/" + strings.Repeat("y", 50) + "?",
		"": "",
	} {
		if got := string(options.address(nil, address, 63)); got != want {
			t.Errorf("%q is told as %q, want %q", address, got, want)
		}
	}
}

func TestHost_IsWithoutUser(t *testing.T) {
	for host, want := range map[string]map[string]any{
		"u:p@shop.example:80": {"domain": "shop.example", "port": 80.0}, "shop.example": {"domain": "shop.example"}, "[::1]": {"domain": "[::1]"},
		"[::1]:8080": {"domain": "[::1]", "port": 8080.0}, "x:": {"domain": "x:"}, "x:080": {"domain": "x:080"}, "x:99999": {"domain": "x:99999"}, "x:+1": {"domain": "x:+1"},
	} {
		r := Record{Host: host}
		got := parsed(t, AppendEntry(nil, "e.1", &r, options), "e.1")["url"].(map[string]any)
		if got["domain"] != want["domain"] || got["port"] != want["port"] {
			t.Errorf("%s: %v", host, got)
		}
		e, err := Decode([]byte(strings.SplitN(string(AppendEntry(nil, "e.1", &r, options)), "\n", 2)[1]))
		if _, bare, _ := strings.Cut(host, "@"); err != nil || e.Host != host && e.Host != bare {
			t.Errorf("%s is read back as %s: %v", host, e.Host, err)
		}
	}
}

// A secret is nowhere in an entry, wherever in a URL a client may put it.
func FuzzAppendEntry_TellsNoSecret(f *testing.F) {
	f.Add("token", "/a")
	f.Add("page", "/a?page=1&")
	f.Add("x;y", "//")
	f.Fuzz(func(t *testing.T, name, path string) {
		const secret = "hush4711"
		if (name == "page" || name == "lang") || strings.Contains(path, secret) || strings.Contains(name, secret) {
			t.Skip()
		}
		query := url.QueryEscape(name) + "=" + secret
		link := (&url.URL{Scheme: "https", User: url.UserPassword("u", secret), Host: "x", Path: "/", RawQuery: query, Fragment: secret}).String()
		r := Record{
			Path: path, Query: query + "&" + query + ";" + query, Host: "u:" + secret + "@x", Referrer: link,
			ResponseHeaders: []Header{{"location", []string{link, "/a?" + query}}},
		}
		if entry := string(AppendEntry(nil, "e.1", &r, options)); strings.Contains(entry, secret) {
			t.Errorf("%s", entry)
		}
	})
}

func TestHeaders_ThatAreAddressesTellNoMoreThanTheURL(t *testing.T) {
	o := NewOptions(Origin{Balancer: "lb", Namespace: "default"}, []string{"page"})
	for _, name := range []string{"referer", "location", "content-location", "x-original-url", "x-original-uri", "x-forwarded-uri", "x-rewrite-url"} {
		r := Record{RequestHeaders: []Header{{name, []string{"https://u:hush@shop.example/a?token=hush&page=2#hush", "/a?hush"}}}}
		entry := string(AppendEntry(nil, "id", &r, o))
		if strings.Contains(entry, "hush") || !strings.Contains(entry, "shop.example/a?token=REDACTED&page=2") {
			t.Errorf("%s: %s", name, entry)
		}
	}
}
