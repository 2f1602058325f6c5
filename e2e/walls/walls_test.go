// Package walls holds the test that keeps the walls of the house: which package may import which.
// The rules and their reasons stand in CONTRIBUTING.md.
package walls

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	root       = "github.com/nemesis-scaling/nemesis/"
	controller = root + "services/autoscaler-controller/internal/"
	balancer   = root + "services/load-balancer/internal/"
	sidecar    = root + "services/sidecar/internal/"
	cli        = root + "cli/internal/"
)

// pure packages decide; they import the standard library and each other, and of the standard
// library nothing that does I/O or speaks HTTP.
var pure = []string{
	controller + "scaling", controller + "fleet", controller + "contest", controller + "lifecycle", controller + "claims", controller + "shards", controller + "access",
	controller + "injection", controller + "advice", controller + "notices", controller + "history", controller + "report", controller + "news", controller + "changes",
	balancer + "traffic/routing", balancer + "traffic/balance", balancer + "traffic/balance/simulate", balancer + "traffic/waitroom", balancer + "traffic/dispatch", balancer + "traffic/slots",
	balancer + "traffic/redirect", balancer + "traffic/message", balancer + "traffic/websocket",
	sidecar + "pod", sidecar + "schedule", sidecar + "batch",
	balancer + "admin/rights", balancer + "control/tuning", balancer + "log/accesslog", balancer + "log/genai", balancer + "log/scalinglog",
	cli + "adopt", cli + "check", cli + "redact", cli + "show",
}

// forTests packages are imported by tests and by each other, and by no program.
var forTests = []string{root + "pkg/testwait", root + "pkg/testtokens", root + "pkg/testauthority", balancer + "traffic/wiretest", kube + "/kubetest"}

// kube is the connection to the API server, and toKubernetes are the adapters that share it.
const kube = controller + "kube"

var toKubernetes = []string{
	controller + "cluster", controller + "election", controller + "settings", controller + "apiproxy", controller + "reviews",
	controller + "certificates", controller + "webhook", controller + "receivers", controller + "archive",
}

// cores run the decisions through ports that they declare; adapters stand on the other side.
var (
	cores    = []string{controller + "control", controller + "guard", controller + "chronicle", controller + "reporter", balancer + "traffic/proxy", sidecar + "agent", sidecar + "batcher"}
	adapters = slices.Concat(toKubernetes, []string{
		controller + "ingest", controller + "httpapi", controller + "admission",
		balancer + "traffic/upstream", balancer + "control/controller", balancer + "control/peers", balancer + "admin", balancer + "traffic/connections",
		balancer + "traffic/certificates", balancer + "traffic/listener", balancer + "traffic/http1", balancer + "traffic/http2", balancer + "traffic/nethttp",
		balancer + "log/spool", balancer + "log/elastic",
		sidecar + "collect", sidecar + "send", sidecar + "httpapi", sidecar + "intake", sidecar + "judge", sidecar + "footprint",
	})
	// Generated types stop at the packages that translate them.
	translators = []string{
		controller + "httpapi", controller + "ingest", controller + "contract", controller + "receivers", balancer + "control/controller", balancer + "control/peers", balancer + "admin",
		sidecar + "send", sidecar + "send/batches", sidecar + "httpapi", sidecar + "intake", sidecar + "wire", sidecar + "judge",
	}
)

// wings are the parts of the load balancer, and what each may import of the others: a wing and all
// that is in it, or one package of it. Nothing goes back, so that a record's way, a request's way and
// a setting's way can each be read alone. app wires them, and is none.
var wings = map[string][]string{
	"log":     {},
	"traffic": {"log/accesslog", "log/genai"},
	"control": {"log/accesslog", "log/scalinglog", "traffic"},
	"admin":   {"log/accesslog", "traffic", "control"},
}

var impure = []string{"net", "os", "io/fs", "log", "syscall", "database", "time/tzdata"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestWalls_NoPackageImportsWhatItMayNot(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		seen[p.ImportPath] = true
		for _, imported := range p.Imports {
			if rule := broken(p.ImportPath, imported); rule != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule)
			}
		}
	}
	// A wall around a room that does not exist would keep nothing out.
	for _, room := range slices.Concat(pure, cores, adapters, translators, forTests, []string{kube}, singled()) {
		if !seen[room] {
			t.Errorf("there is no package %s: the rules name a room that is gone", room)
		}
	}
}

// broken is the rule that the import breaks, or "".
func broken(from, to string) string {
	service := serviceOf(from)
	switch {
	case serviceOf(to) != "" && serviceOf(to) != service:
		return "services share contracts, never code; and nothing else imports a service"
	case strings.HasPrefix(from, root+"gen") && ours(to) && !strings.HasPrefix(to, root+"gen"):
		return "gen is the public SDK and requires nothing of this repository"
	case strings.HasPrefix(from, root+"pkg") && ours(to) && !strings.HasPrefix(to, root+"pkg"):
		return "pkg knows neither the services nor the generated types"
	case strings.HasPrefix(to, "k8s.io/") && service != "autoscaler-controller" && from != cli+"client" && from != cli+"command":
		return "only the autoscaler-controller speaks to Kubernetes, and the command for who calls it"
	case to == balancer+"log/logsetup" && from != root+"services/load-balancer/cmd/log-setup":
		return "what stands before every client's request makes no users and keys: the log's set-up is a program of its own"
	case wingOf(from) != "" && wingOf(to) != "" && !mayReach(wingOf(from), to):
		return "wings import one another in one direction only, and only what is listed"
	case slices.Contains(forTests, to) && !slices.Contains(forTests, from):
		return "it is for tests alone"
	case slices.Contains(pure, from):
		return brokenByPure(to)
	case slices.Contains(cores, from) && adapterOf(to) != "":
		return "a core declares the port it needs; the adapter fulfils it"
	case to == kube && !slices.Contains(toKubernetes, from) && from != kube+"/kubetest" && from != controller+"app":
		return "the connection to the API server is for the adapters to it, and for app"
	case from == kube && strings.HasPrefix(to, controller):
		return "the connection knows nothing of what is asked over it"
	case adapterOf(from) != "" && adapterOf(to) != "" && adapterOf(from) != adapterOf(to):
		return "adapters never import each other"
	case from == cli+"show" && ours(to):
		return "how things look knows nothing of what they are"
	case strings.HasPrefix(to, root+"gen") && strings.Contains(from, "/internal/") && service != "" && !slices.Contains(translators, from) && !wires(from):
		return "generated types stop at the packages that translate them"
	}
	return ""
}

// wires tells whether a package puts a program together: app, or one of several beside it.
func wires(path string) bool {
	return strings.HasSuffix(path, "/internal/app") || strings.Contains(path, "/internal/app/")
}

func brokenByPure(to string) string {
	switch {
	case slices.Contains(pure, to):
		return ""
	case strings.Contains(strings.SplitN(to, "/", 2)[0], "."):
		return "a pure package imports the standard library and pure packages alone"
	}
	for _, name := range impure {
		// net/url and net/netip are values, not I/O.
		if (to == name || strings.HasPrefix(to, name+"/")) && to != "net/url" && to != "net/netip" {
			return "a pure package does no I/O"
		}
	}
	return ""
}

// adapterOf is the adapter that a package is, or is a part of; or "".
func adapterOf(path string) string {
	for _, a := range adapters {
		if path == a || strings.HasPrefix(path, a+"/") {
			return a
		}
	}
	return ""
}

// wingOf is the wing of the load balancer that a package stands in, or "".
func wingOf(path string) string {
	rest, ok := strings.CutPrefix(path, balancer)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	if _, ok := wings[name]; !ok {
		return ""
	}
	return name
}

// mayReach tells whether packages of a wing may import this one.
func mayReach(wing, to string) bool {
	return slices.ContainsFunc(append([]string{wing}, wings[wing]...), func(allowed string) bool {
		return to == balancer+allowed || strings.HasPrefix(to, balancer+allowed+"/")
	})
}

func ours(path string) bool { return strings.HasPrefix(path, root) }

// serviceOf is the service that a package belongs to, or "".
func serviceOf(path string) string {
	rest, ok := strings.CutPrefix(path, root+"services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-tags=nvml", "-json=ImportPath,Imports,Standard", "work")
	list.Env = append(os.Environ(), "GOWORK=") // all modules at once, also when each is tested alone
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// singled are the packages that the list of wings names one by one.
func singled() []string {
	var all []string
	for _, allowed := range wings {
		for _, path := range allowed {
			if strings.Contains(path, "/") {
				all = append(all, balancer+path)
			}
		}
	}
	return all
}

func TestWings_NothingGoesBack(t *testing.T) {
	left := maps.Clone(wings)
	for len(left) > 0 { // each round takes out the wings that import none of those that are left
		before := len(left)
		for wing, allowed := range left {
			if !slices.ContainsFunc(allowed, func(path string) bool {
				to, _, _ := strings.Cut(path, "/")
				_, there := left[to]
				return there
			}) {
				delete(left, wing)
			}
		}
		if len(left) == before {
			t.Fatalf("these wings reach themselves again over others: %v", left)
		}
	}
}

func TestWings_AreAllThatTheLoadBalancerHas(t *testing.T) {
	for _, p := range packages(t) {
		rest, ok := strings.CutPrefix(p.ImportPath, balancer)
		if name, _, _ := strings.Cut(rest, "/"); ok && name != "app" && wingOf(p.ImportPath) == "" {
			t.Errorf("%s stands in no wing", p.ImportPath)
		}
	}
}

// notInPods is what must not come into the sidecar's program, of which one stands in each pod: what only those need
// who judge tokens, check requests against a contract, keep many metrics or export traces, and what needs C.
var notInPods = []string{
	"go-jose", root + "pkg/identity", root + "pkg/authority", root + "pkg/contract", root + "pkg/telemetry",
	"kin-openapi", "client_golang", "protobuf", "grpc", "otel/sdk", "go-nvml",
}

func TestSidecar_HasNothingThatItsPodDoesNotNeed(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", root+"services/sidecar/cmd/sidecar")
	list.Env = append(os.Environ(), "GOWORK=")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, root+"pkg/bearer") {
		t.Error("the sidecar sends no token")
	}
	for _, path := range deps {
		if slices.ContainsFunc(notInPods, func(part string) bool { return strings.Contains(path, part) }) {
			t.Errorf("the sidecar's program has %s", path)
		}
	}
}

// The rules themselves are tried, so that a slip in them does not pass everything.
func TestBroken_FindsWhatIsForbidden(t *testing.T) {
	for _, c := range []struct {
		from, to string
		broken   bool
	}{
		{controller + "scaling", "time", false},
		{controller + "scaling", "net/http", true},
		{controller + "scaling", "os", true},
		{balancer + "traffic/routing", "net/url", false},
		{balancer + "traffic/routing", "github.com/go-chi/chi/v5", true},
		{controller + "fleet", controller + "scaling", false},
		{controller + "fleet", controller + "cluster", true},
		{controller + "control", controller + "cluster", true},
		{balancer + "traffic/proxy", balancer + "traffic/routing", false},
		{balancer + "traffic/upstream", balancer + "control/controller", true},
		{balancer + "traffic/proxy", balancer + "log/accesslog", false},
		{balancer + "traffic/proxy", balancer + "log/journal", true},
		{balancer + "traffic/routing", balancer + "control/tuning", true},
		{balancer + "log/scalinglog", balancer + "log/accesslog", false},
		{balancer + "log/scalinglog", balancer + "traffic/routing", true},
		{balancer + "log/journal", balancer + "admin", true},
		{balancer + "control/tuning", balancer + "traffic/balance", false},
		{balancer + "control/controller", balancer + "admin", true},
		{balancer + "app", balancer + "log/journal", false},
		{balancer + "app", balancer + "log/logsetup", true},
		{root + "services/load-balancer/cmd/load-balancer", balancer + "log/logsetup", true},
		{root + "services/load-balancer/cmd/log-setup", balancer + "log/logsetup", false},
		{balancer + "app", root + "services/autoscaler-controller/internal/app", true},
		{root + "e2e/demo", controller + "app", true},
		{cli + "client", "k8s.io/client-go/rest", false},
		{cli + "show", "k8s.io/client-go/rest", true},
		{cli + "show", root + "gen/autoscaler", true},
		{cli + "command", controller + "app", true},
		{cli + "command", root + "gen/autoscaler", false},
		{balancer + "app", "k8s.io/client-go/kubernetes", true},
		{controller + "cluster", "k8s.io/client-go/kubernetes", false},
		{controller + "cluster", kube, false},
		{controller + "cluster", controller + "election", true},
		{controller + "settings", controller + "cluster", true},
		{controller + "apiproxy", kube + "/kubetest", true},
		{controller + "httpapi", kube, true},
		{controller + "control", kube, true},
		{controller + "app", kube, false},
		{kube, root + "pkg/fault", false},
		{kube, controller + "fleet", true},
		{controller + "control", root + "gen/autoscaler", true},
		{sidecar + "schedule", sidecar + "pod", false},
		{sidecar + "schedule", sidecar + "agent", true},
		{sidecar + "agent", sidecar + "collect", true},
		{sidecar + "collect", root + "gen/common", true},
		{sidecar + "collect/page", sidecar + "send", true},
		{sidecar + "send", sidecar + "wire", false},
		{sidecar + "app/batching", root + "gen/common", false},
		{sidecar + "agent", root + "gen/common", true},
		{controller + "httpapi", root + "gen/autoscaler", false},
		{root + "pkg/fault", root + "gen/common", true},
		{balancer + "app", root + "pkg/testwait", true},
		{root + "gen/autoscaler", root + "gen/common", false},
		{root + "gen/autoscaler", root + "pkg/fault", true},
	} {
		if got := broken(c.from, c.to); (got != "") != c.broken {
			t.Errorf("%s → %s: %q", c.from, c.to, got)
		}
	}
}
