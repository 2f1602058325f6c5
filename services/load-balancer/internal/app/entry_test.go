package app_test

import (
	"io"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

func TestEntrySettings_AreOffByDefault(t *testing.T) {
	s, err := app.Load(nil, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Entry; e.TLSListen != "" || e.ProxyProtocol != "off" || e.HTTPSRedirect || e.Certificates.Named() {
		t.Errorf("%+v", e)
	}
}

func TestEntrySettings_GoTogether(t *testing.T) {
	cert := []string{"-tls-cert-dirs", "/etc/nemesis/data-tls"}
	for _, c := range []struct {
		args []string
		want string // "" is taken
	}{
		{append([]string{"-tls-listen", ":8443"}, cert...), ""},
		{append([]string{"-tls-listen", ":8443", "-https-redirect", "-proxy-protocol", "require"}, cert...), ""},
		{append([]string{"-tls-listen", ":0", "-https-redirect", "-https-redirect-port", "443"}, cert...), ""},
		{[]string{"-https-redirect", "-https-redirect-port", "443"}, ""}, // TLS ends before us
		{[]string{"-tls-listen", ":8443"}, `tls-cert-files: "" is not allowed with tls-listen`},
		{[]string{"-tls-listen", "8443"}, `tls-listen: "8443" is not allowed: must be host:port`},
		{cert, `tls-cert-dirs: "/etc/nemesis/data-tls" is not allowed without tls-listen`},
		{[]string{"-tls-cert-files", "/a"}, `tls-cert-files: "/a" is not allowed without tls-listen`},
		{[]string{"-tls-key-files", "/a"}, `tls-key-files: "/a" is not allowed without tls-listen`},
		{[]string{"-https-redirect"}, `https-redirect: true is not allowed without tls-listen`},
		{append([]string{"-tls-listen", ":0", "-https-redirect"}, cert...), `https-redirect-port: 0 is not allowed with tls-listen ":0"`},
		{[]string{"-proxy-protocol", "v2"}, `proxy-protocol: "v2" is not allowed: must be one of off, accept, require`},
		{append([]string{"-tls-listen", ":8443", "-tls-key-files", "/a"}, cert...), `tls-key-files: 1 files beside 0 in tls-cert-files`},
	} {
		_, err := app.Load(c.args, nil, io.Discard)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
