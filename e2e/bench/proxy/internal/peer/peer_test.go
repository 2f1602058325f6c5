package peer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func site(t *testing.T) Site {
	t.Helper()
	return Site{
		Dir: t.TempDir(), Listen: "127.0.0.1:1001", ListenTLS: "127.0.0.1:1002", ListenH2: "127.0.0.1:1003", ListenAdmin: "127.0.0.1:1004",
		Backend: "127.0.0.1:1005", BackendH2: "127.0.0.1:1006", Certificate: "/site.crt", Key: "/site.pem", Controller: "http://127.0.0.1:1007",
	}
}

func TestConfigs_NameWhereToListenAndWhatIsBehind(t *testing.T) {
	for _, name := range []string{"nginx.conf", "haproxy.cfg", "envoy.yaml", "traefik.yaml", "traefik-routes.yaml", "Caddyfile"} {
		for _, log := range []string{"", "/access.log"} {
			s := site(t)
			s.Log = log
			path, err := write(s, name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			ports := []string{"1001", "1002", "1003", "1005", "1006"}
			switch name { // Traefik has two files
			case "traefik.yaml":
				ports = []string{"1001", "1002", "1003"}
			case "traefik-routes.yaml":
				ports = []string{"1005", "1006"}
			}
			for _, port := range ports {
				if !strings.Contains(string(raw), port) {
					t.Errorf("%s has no %s", name, port)
				}
			}
			if strings.Contains(string(raw), "<no value>") {
				t.Errorf("%s lacks a value", name)
			}
		}
	}
}

func TestConfigure_HasALogWhereTheNameSaysSo(t *testing.T) {
	wheels := t.TempDir()
	ours := filepath.Join(wheels, "ours")
	if err := os.WriteFile(ours, []byte("#!/bin/sh\necho -tls-listen\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"bin/traefik", "bin/caddy", "lib/python3.11/site-packages/envoy/_bin/envoy"} {
		path := filepath.Join(wheels, program)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, p := range All(Binaries{Self: "/self", Ours: ours, Baseline: "true", Wheels: wheels}) {
		if seen[p.Name()] {
			t.Errorf("two are named %s", p.Name())
		}
		seen[p.Name()] = true
		c, err := p.Configure(site(t))
		if err != nil {
			t.Errorf("%s: %v", p.Name(), err)
			continue
		}
		logs := strings.HasSuffix(p.Name(), "log") && p.Name() != "ours-nolog" || p.Name() == "ours" || p.Name() == "baseline"
		if (c.Log != "") != logs {
			t.Errorf("%s has the log %q", p.Name(), c.Log)
		}
		if p.Name() == "ours" && (!c.TLS || !c.H2) || p.Name() == "baseline" && (c.TLS || c.H2) {
			t.Errorf("%s: TLS %v, HTTP/2 %v, which is not what its flags say", p.Name(), c.TLS, c.H2)
		}
		if c.Path == "" || len(c.Args) == 0 {
			t.Errorf("%s: %+v", p.Name(), c)
		}
	}
}

func TestConfigure_SaysWhatIsNotInstalled(t *testing.T) {
	_, err := envoy("envoy", t.TempDir(), false).Configure(site(t))
	if !errors.Is(err, errAbsent) {
		t.Errorf("%v", err)
	}
}

func TestChoose_KeepsTheOrderAndNamesWhatIsAllowed(t *testing.T) {
	all := All(Binaries{})
	chosen, err := Choose(all, "bare, ours")
	if err != nil || strings.Join(Names(chosen), " ") != "bare ours" {
		t.Errorf("%v, %v", Names(chosen), err)
	}
	_, err = Choose(all, "ours,apache")
	if err == nil || !strings.Contains(err.Error(), `"apache"`) || !strings.Contains(err.Error(), "haproxy-log") {
		t.Errorf("%v", err)
	}
}
