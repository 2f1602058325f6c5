package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect"
)

// Settings of the sidecar. Each comes from its default, the YAML file, the environment
// (NEMESIS_INTERVAL) or a flag (-interval).
type Settings struct {
	Listen        string // API, metrics and health
	ControllerURL string // of the autoscaler-controller

	PodName      string // POD_NAME
	PodNamespace string // POD_NAMESPACE
	PodUID       string // POD_UID; only needed to find the pod's control group

	Interval       time.Duration // between two measurements
	Heartbeat      time.Duration // the longest between two that are sent
	DeadBand       int           // percent by which a value may move and not be sent; 0: every measurement is
	BackOffLongest time.Duration

	UsageFrom     string // CPU and memory
	CgroupRoot    string
	ProcRoot      string
	DiskPaths     string // with commas between; none is not measured
	AppMetricsURL string // the application's Prometheus page, or several with commas between; "" is none

	GPUs        int    // that the pod asks for; 0: nobody said
	visibleGPUs string // NVIDIA_VISIBLE_DEVICES, which the container runtime goes by

	Encryption encryption.Settings // of the connection with the controller; the sidecar's own port is the pod's alone

	TokenFile string // this pod's token for the controller; "" sends none

	LogLevel string
}

// longestInterval keeps measurements fresh from one to the next: the controller looks at none that is
// older than 20 s.
const longestInterval = 15 * time.Second

// How long a push counts unless another comes: a heartbeat, and time for one that is lost and for those that
// are tried after it. The contract has two minutes at the most.
const (
	lateness         = 10 * time.Second
	longestHeartbeat = 110 * time.Second
)

func (s Settings) validFor() time.Duration {
	if s.DeadBand == 0 {
		return s.Interval + 15*time.Second // three intervals of five seconds, as ever
	}
	return max(s.Interval, s.Heartbeat) + lateness
}

// Load reads the settings. It returns settings.ErrHelp, or every fault at once.
func Load(args, environ []string, out io.Writer) (Settings, error) {
	s := Settings{visibleGPUs: variable(environ, "NVIDIA_VISIBLE_DEVICES")}
	set := settings.New("sidecar", "NEMESIS_", out)
	set.AddressOrNone(&s.Listen, "listen", "127.0.0.1:0", "where the API, metrics and health are served: by default inside the pod alone, on a port that nobody has (the log says which); :8082 is on one that Prometheus finds")
	set.URL(&s.ControllerURL, "controller-url", "https://autoscaler-controller.nemesis-system.svc:8080", "the autoscaler-controller")
	set.String(&s.PodName, "pod-name", variable(environ, "POD_NAME"), "this pod, by default POD_NAME or the host's name")
	set.String(&s.PodNamespace, "pod-namespace", variable(environ, "POD_NAMESPACE"), "its namespace, by default POD_NAMESPACE")
	set.String(&s.PodUID, "pod-uid", variable(environ, "POD_UID"), "its UID, by default POD_UID; only pod-cgroup needs it")
	set.Duration(&s.Interval, "interval", 5*time.Second, time.Second, longestInterval, "time between two measurements, give or take a tenth")
	set.Duration(&s.Heartbeat, "heartbeat", 15*time.Second, time.Second, longestHeartbeat, "longest time between two pushes when nothing changes; a controller before 0.2 looks at none older than 20s")
	set.Int(&s.DeadBand, "dead-band", 5, 0, 50, "percent by which a value may move and be no news until the heartbeat; 0 sends every measurement")
	set.Int(new(int), "keep", 60, 1, 10_000, "without effect, as one of 0.1 had it: the newest measurement alone waits while the controller is away")
	set.Duration(&s.BackOffLongest, "back-off-longest", 30*time.Second, time.Second, time.Hour, "longest pause between two tries while the controller is away")
	set.Choice(&s.UsageFrom, "usage-from", collect.Auto, "where CPU and memory are read; auto takes the first that works", collect.Sources...)
	set.String(&s.CgroupRoot, "cgroup-root", "/sys/fs/cgroup", "the node's control groups, when they are mounted")
	set.String(&s.ProcRoot, "proc-root", "/proc", "the pod's processes")
	set.String(&s.DiskPaths, "disk-paths", "", "folders whose use is measured, with commas between: volumes shared with the application; none by default")
	set.String(&s.AppMetricsURL, "app-metrics-url", "", "the application's Prometheus page, such as http://localhost:8000/metrics, or several with commas between; none by default")
	set.Int(&s.GPUs, "gpus", 0, 0, 64, "GPUs, or slices of GPUs, that the pod asks for: where the sidecar sees another number it does not measure them; 0: those that it sees are the pod's, unless NVIDIA_VISIBLE_DEVICES=all shows it several; sidecar-nvml alone reads any")
	set.String(&s.TokenFile, "token-file", bearer.DefaultFile, "a projected service-account token for the audience nemesis, which is sent along; empty sends none, and a file that is missing is said in the log")
	s.Encryption.DeclareClient(set)
	set.Choice(&s.LogLevel, "log-level", "info", "least level that is logged", "debug", "info", "warn", "error")
	err := set.Load(args, environ)
	if errors.Is(err, settings.ErrHelp) {
		return Settings{}, err
	}
	if s.PodName == "" {
		s.PodName, _ = os.Hostname()
	}
	return s, errors.Join(err, s.Validate())
}

// The names that the contract takes.
var (
	name      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	namespace = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// Validate checks what no kind of setting can check by itself.
func (s Settings) Validate() error {
	var faults []error
	refuse := func(key, value, allowed string) {
		faults = append(faults, fmt.Errorf("%s: %q is not allowed: must be %s", key, value, allowed))
	}
	pages := split(s.AppMetricsURL)
	if len(pages) > mostPages || slices.ContainsFunc(pages, func(u string) bool { return !settings.IsURL(u) }) {
		refuse("app-metrics-url", s.AppMetricsURL, fmt.Sprintf("empty, or up to %d URLs such as http://localhost:8000/metrics with commas between", mostPages))
	}
	if !name.MatchString(s.PodName) {
		refuse("pod-name", s.PodName, "the pod's name; set POD_NAME by the downward API")
	}
	if !namespace.MatchString(s.PodNamespace) {
		refuse("pod-namespace", s.PodNamespace, "the pod's namespace; set POD_NAMESPACE by the downward API")
	}
	for _, path := range s.diskPaths() {
		if !filepath.IsAbs(path) {
			refuse("disk-paths", s.DiskPaths, "absolute paths with commas between, such as /data,/cache")
			break
		}
	}
	return errors.Join(faults...)
}

// unencrypted is what people should look at.
func (s Settings) unencrypted(a *encryption.Authorities) []string {
	all := s.Encryption.Trouble(s.ControllerURL)
	if missing := a.Missing(); missing != "" && !s.Encryption.ClearText && strings.HasPrefix(s.ControllerURL, "https:") {
		all = append(all, "the controller cannot be verified: "+missing)
	}
	return all
}

func (s Settings) diskPaths() []string {
	paths := split(s.DiskPaths)
	for i := range paths {
		paths[i] = filepath.Clean(paths[i])
	}
	return paths
}

// mostPages are read at each measurement.
const mostPages = 4

// split is a list that is written with commas between.
func split(list string) []string {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func level(text string) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(text)) // a Choice: always a level
	return level
}

func variable(environ []string, name string) string {
	for _, kv := range environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
