package main

import (
	"crypto/elliptic"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// committed has the tiny programs of newRepository in git, and a registry.
func committed(t *testing.T) (root, host string) {
	t.Helper()
	root = newRepository(t, fine)
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "all"}} {
		if said, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, said)
		}
	}
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	t.Cleanup(server.Close)
	return root, strings.TrimPrefix(server.URL, "http://")
}

// keys are a pair as cosign makes it, the private one under a password.
func keys(t *testing.T, password string) (private, public string) {
	t.Helper()
	secret, open, err := cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), cryptoutils.StaticPasswordFunc([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(t.TempDir(), "cosign.key"), filepath.Join(t.TempDir(), "cosign.pub")
	for path, pem := range map[string][]byte{private: secret, public: open} {
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

func must(t *testing.T, root string, args ...string) string {
	t.Helper()
	out, err := runIn(t, root, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

func TestRun_PushesForBothProcessorsSignsAndVerifies(t *testing.T) {
	root, host := committed(t)
	private, public := keys(t, "secret")
	t.Setenv("COSIGN_PASSWORD", "secret")
	must(t, root, "-push", host+"/team", "-tag", "1.2.3", "load-balancer", "fibonacci")

	recorded, err := os.ReadFile(filepath.Join(root, "build/images/digests"))
	if err != nil || !strings.HasPrefix(string(recorded), "fibonacci "+host+"/team/fibonacci@sha256:") || !strings.Contains(string(recorded), "\nload-balancer "+host+"/team/load-balancer@sha256:") {
		t.Errorf("the digests are %q (%v)", recorded, err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		document, err := os.ReadFile(filepath.Join(root, "build/images/load-balancer."+arch+".spdx.json"))
		if err != nil || !strings.Contains(string(document), `"name": "example.com/lb"`) {
			t.Errorf("SBOM for %s: %v\n%.2000s", arch, err, document)
		}
	}
	if _, err := runIn(t, root, "-verify", "-key", public); err == nil || strings.Count(err.Error(), "no signature of this key") < 2 {
		t.Errorf("unsigned images are verified: %v", err)
	}
	for range 2 { // a second time changes nothing
		if out := must(t, root, "-sign", "-key", private); !strings.Contains(out, "5 manifests") {
			t.Errorf("said %q, want the index, two images and two SBOMs", out)
		}
	}
	if out := must(t, root, "-verify", "-key", public); strings.Count(out, "verified "+host) != 2 || !strings.Contains(out, "made from commit ") || strings.Contains(out, "unknown") {
		t.Errorf("said %q", out)
	}
	if out := must(t, root, "-verify", "-key", public, "fibonacci"); strings.Contains(out, "load-balancer") {
		t.Errorf("said %q, only fibonacci was asked for", out)
	}
	_, others := keys(t, "")
	if _, err := runIn(t, root, "-verify", "-key", others); err == nil || !strings.Contains(err.Error(), "no signature of this key") {
		t.Errorf("another's key: %v", err)
	}
}

func TestRun_SignsNothingThatIsNotOfACommit(t *testing.T) {
	root, host := committed(t)
	private, _ := keys(t, "")
	if err := os.WriteFile(filepath.Join(root, "VERSION"), []byte("1.2.4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, root, "-push", host+"/team", "-arch", "amd64", "fibonacci")
	if _, err := runIn(t, root, "-sign", "-key", private); err == nil || !strings.Contains(err.Error(), "-dirty") {
		t.Errorf("error is %v, want one that names the revision", err)
	}
	tags := listed(t, host+"/team/fibonacci")
	if strings.Join(tags, " ") != "dev" {
		t.Errorf("the registry has the tags %v", tags)
	}
}

func listed(t *testing.T, repository string) []string {
	t.Helper()
	r, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(r)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

func TestRun_SigningRefuses(t *testing.T) {
	root := newRepository(t, fine)
	private, public := keys(t, "secret")
	t.Setenv("COSIGN_PASSWORD", "wrong")
	t.Setenv("COSIGN_PRIVATE_KEY", "")
	t.Setenv("COSIGN_PUBLIC_KEY", "")
	digests := filepath.Join(t.TempDir(), "digests")
	if err := os.WriteFile(digests, []byte("load-balancer registry.example.com/lb:1.2.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args []string
		want string
	}{
		"no private key":     {[]string{"-sign"}, "COSIGN_PRIVATE_KEY"},
		"no public key":      {[]string{"-verify"}, "COSIGN_PUBLIC_KEY"},
		"a wrong password":   {[]string{"-sign", "-key", private}, "private key: "},
		"a public key":       {[]string{"-sign", "-key", public}, "private key: "},
		"nothing was pushed": {[]string{"-verify", "-key", public}, "what was pushed is not known"},
		"a tag":              {[]string{"-verify", "-key", public, "-digests", digests}, "line 1 is"},
		"both":               {[]string{"-verify", "-sign"}, "three steps"},
		"and push":           {[]string{"-sign", "-push", "registry.example.com"}, "three steps"},
		"two in an archive":  {[]string{"-arch", "amd64,arm64"}, "an archive is for one processor"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			if _, err := runIn(t, root, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestRecord_KeepsTheLinesOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "digests")
	address := func(image, digit string) string {
		return "registry.example.com/" + image + "@sha256:" + strings.Repeat(digit, 64)
	}
	for _, one := range []struct{ image, digit string }{{"sidecar", "1"}, {"load-balancer", "2"}, {"sidecar", "3"}} {
		if err := record(path, one.image, address(one.image, one.digit)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	want := "load-balancer " + address("load-balancer", "2") + "\nsidecar " + address("sidecar", "3") + "\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	component, err := os.ReadFile(filepath.Join(filepath.Dir(path), "kustomization.yaml"))
	line := `  - { name: nemesis/sidecar, newName: "registry.example.com/sidecar", digest: "sha256:` + strings.Repeat("3", 64) + `" }`
	if err != nil || !strings.Contains(string(component), line) {
		t.Errorf("the component is %q (%v), want the line %q", component, err, line)
	}
	if _, _, err := wanted(path, []string{"echo"}); err == nil || !strings.Contains(err.Error(), "echo was not pushed") {
		t.Errorf("error is %v", err)
	}
}
