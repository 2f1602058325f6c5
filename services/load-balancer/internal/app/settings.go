package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// Settings of the load balancer. Each comes from its default, the YAML file, the environment
// (NEMESIS_DATA_LISTEN) or a flag (-data-listen).
type Settings struct {
	DataListen    string // where clients come
	AdminListen   string // API, metrics and health
	Entry         EntrySettings
	Encryption    encryption.Settings
	Identities    IdentitySettings
	ControllerURL string        // of the autoscaler-controller
	Identity      string        // this replica's name in reports: the pod's
	PeerListen    string        // where other load balancers come, for the slots of limited pods
	PeerHost      string        // by which they reach this one; "" is none: it keeps limits for itself alone
	ForgetAfter   time.Duration // of silence the controller may take this one for gone

	WaitingRoomRequests int // that may wait for one application
	WaitingRoomMiB      int // that all waiting requests together may hold
	MaxBodyMiB          int // of a request
	MaxURIBytes         int

	StreamIdleTimeout time.Duration // of clients and tunnels; a pod's is the settings' timeout_seconds
	IdleTimeout       time.Duration // of a client's connection that has nothing to do
	HeadTimeout       time.Duration // for a request's head, and for a TLS handshake
	TrustTraces       bool          // a client's trace is continued
	LameDuck          time.Duration // go on accepting while the cluster forgets this pod
	DrainTimeout      time.Duration // then wait for requests in flight and waiting
	WebSocketNotice   time.Duration // the last part of it, in which WebSockets are closed; 0: they are cut at its end

	LogSpoolDir string // where the log is kept until it is shipped, or for GET /proxy/logs
	LogSpoolMiB int    // that it may hold
	LogQueueMiB int    // of what is not written there yet

	Elasticsearch     elastic.Settings // where the log is shipped to
	ElasticsearchGzip bool             // saves more than nine tenths of the bytes, for a third more CPU

	LogSample          string // which share of requests is logged
	LogQueryParameters string // whose values are logged, with commas between
	LogRequestHeaders  string // header fields that are logged
	LogResponseHeaders string

	NamesInRefusals bool // clients are told which application and which pod it was

	TrustedProxies string // CIDRs whose X-Forwarded-* headers are believed, with commas between
	LogLevel       string
}

// Load reads the settings. It returns settings.ErrHelp, or every fault at once.
func Load(args, environ []string, out io.Writer) (Settings, error) {
	var s Settings
	set := settings.New("load-balancer", "NEMESIS_", out)
	set.Address(&s.DataListen, "data-listen", ":8080", "where clients come")
	set.Address(&s.AdminListen, "admin-listen", ":8081", "where the API, metrics and health are served")
	s.Entry.declare(set)
	s.Encryption.Declare(set)
	set.String(&s.ControllerURL, "controller-url", "https://autoscaler-controller.nemesis-system.svc:8080", "the autoscaler-controller")
	set.String(&s.Identity, "identity", replica(environ), "name of this replica, by default POD_NAME or the host's name")
	set.Address(&s.PeerListen, "peer-listen", ":8082", "where other load balancers come: for applications with containerConcurrency they share the slots of the pods")
	set.String(&s.PeerHost, "peer-host", podIP(environ), "IP or name by which other load balancers reach this one, by default POD_IP; without it this one keeps the limits of pods for itself alone")
	s.Identities.declare(set)
	set.Duration(&s.ForgetAfter, "forget-after", slots.MostForget, slots.LeastForget, slots.MostForget, "how long nothing may be heard from this load balancer until it counts as gone, whole seconds: until then no application sleeps, and until three quarters of it this one lends slots of limited pods; its reports tell the controller")
	set.Int(&s.WaitingRoomRequests, "waiting-room-requests", 10_000, 1, 1_000_000, "requests that may wait for one application")
	set.Int(&s.WaitingRoomMiB, "waiting-room-mib", 128, 1, 1<<20, "MiB that all waiting requests together may hold in memory")
	set.Int(&s.MaxBodyMiB, "max-body-mib", 1024, 1, 1<<20, "MiB of a request's body")
	set.Int(&s.MaxURIBytes, "max-uri-bytes", 16<<10, 256, 64<<10, "bytes of a request's path and query")
	set.Duration(&s.StreamIdleTimeout, "stream-idle-timeout", 5*time.Minute, time.Second, 24*time.Hour, "longest pause of a client that sends a body or takes an answer, and of a tunnel")
	set.Duration(&s.IdleTimeout, "idle-timeout", 620*time.Second, time.Second, 24*time.Hour, "how long a client's connection may have nothing to do; longer than a balancer before this one keeps its connections (600 s in most clouds)")
	set.Duration(&s.HeadTimeout, "head-timeout", 10*time.Second, time.Second, 5*time.Minute, "how long a request's head may take from its first byte on, and a TLS handshake")
	set.Bool(&s.TrustTraces, "trust-traces", true, "with an exporter of traces: continue the trace that a client sends (traceparent); else a trace of our own begins, linked to it")
	set.Bool(&s.NamesInRefusals, "names-in-refusals", false, "refusals on the data port name the application (namespace and Deployment), its pods and what the cluster says of them; else they tell clients what is wrong without names, as the log has them anyway")
	set.Duration(&s.LameDuck, "lame-duck", 5*time.Second, 0, 5*time.Minute, "how long new requests are still taken after the signal to end")
	set.Duration(&s.DrainTimeout, "drain-timeout", 15*time.Minute, time.Second, time.Hour, "how long requests then have to end")
	set.Duration(&s.WebSocketNotice, "websocket-notice", 30*time.Second, 0, time.Hour, "the last part of drain-timeout, in which WebSockets that are still open are closed (1001, going away), one after the other; drain-timeout or more closes them as soon as it begins, 0 cuts them off at its end")
	set.String(&s.LogSpoolDir, "log-spool-dir", "/var/lib/nemesis/spool", "folder of the log: of what Elasticsearch has not taken yet, or, without it, of what GET /proxy/logs shows; this replica's alone")
	set.Int(&s.LogSpoolMiB, "log-spool-mib", 1024, 1, 1<<20, "MiB that the log may hold there; then the oldest goes")
	set.Int(&s.LogQueueMiB, "log-queue-mib", 16, 1, 1<<10, "MiB of the log that may wait in memory to be written there; then what comes is lost, and counted")
	s.Elasticsearch.Declare(set)
	set.Bool(&s.ElasticsearchGzip, "elasticsearch-gzip", false, "send the log compressed: less than a tenth of the bytes, for about a third more CPU time")
	set.String(&s.LogSample, "log-sample", "1", "share of requests that is logged: for all, for one application as namespace/deployment=0.1, or both with commas between; what fails, is refused, breaks off or wakes an application always is")
	set.String(&s.LogQueryParameters, "log-query-parameters", "", "query parameters whose values are logged, with commas between, upper and lower case told apart; of all others the log has the name and REDACTED")
	set.String(&s.LogRequestHeaders, "log-request-headers", "", "header fields of requests that are logged, with commas between; those that hold credentials are refused")
	set.String(&s.LogResponseHeaders, "log-response-headers", "", "header fields of answers that are logged, likewise")
	set.String(&s.TrustedProxies, "trusted-proxies", "", "CIDRs of proxies whose X-Forwarded-* headers are believed, with commas between; none by default")
	set.Choice(&s.LogLevel, "log-level", "info", "least level that is logged", "debug", "info", "warn", "error")
	err := set.Load(args, environ)
	if errors.Is(err, settings.ErrHelp) {
		return Settings{}, err
	}
	return s, errors.Join(err, s.Validate())
}

// Validate checks what no kind of setting can check by itself.
func (s Settings) Validate() error {
	var faults []error
	if u, err := url.Parse(s.ControllerURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		faults = append(faults, fmt.Errorf("controller-url: %q is not allowed: must be a URL such as https://autoscaler-controller:8080", s.ControllerURL))
	}
	if len(s.Identity) == 0 || len(s.Identity) > 253 {
		faults = append(faults, fmt.Errorf("identity: %q is not allowed: must be from 1 to 253 characters", s.Identity))
	}
	if _, err := s.trusted(); err != nil {
		faults = append(faults, fmt.Errorf("trusted-proxies: %q is not allowed: must be CIDRs such as 10.0.0.0/8,fd00::/8", s.TrustedProxies))
	}
	if s.ForgetAfter%time.Second != 0 {
		faults = append(faults, fmt.Errorf("forget-after: %v is not allowed: must be whole seconds, from %v to %v", s.ForgetAfter, slots.LeastForget, slots.MostForget))
	}
	if s.LogSpoolDir == "" {
		faults = append(faults, errors.New("log-spool-dir: \"\" is not allowed: must be a folder, which is made when it is not there"))
	}
	_, err := s.logged()
	return errors.Join(append(faults, err, s.Entry.validate(), s.Identities.validate(), s.Encryption.Validate(), s.Elasticsearch.Validate())...)
}

// logged is what of a request is logged.
type logged struct {
	sampler                     accesslog.Sampler
	parameters                  []string
	requestFields, answerFields []string
}

// logged reads the settings of the log; the error has all their faults.
func (s Settings) logged() (l logged, err error) {
	var faults [4]error
	l.sampler, faults[0] = accesslog.ParseSampler("log-sample", s.LogSample)
	l.parameters, faults[1] = accesslog.ParseParameters("log-query-parameters", s.LogQueryParameters)
	l.requestFields, faults[2] = accesslog.ParseHeaders("log-request-headers", s.LogRequestHeaders)
	l.answerFields, faults[3] = accesslog.ParseHeaders("log-response-headers", s.LogResponseHeaders)
	return l, errors.Join(faults[:]...)
}

func (s Settings) trusted() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for item := range strings.SplitSeq(s.TrustedProxies, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

func (s Settings) level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // a Choice: always a level
	return level
}

func podIP(environ []string) string {
	for _, kv := range environ {
		if ip, ok := strings.CutPrefix(kv, "POD_IP="); ok {
			return ip
		}
	}
	return ""
}

func replica(environ []string) string {
	for _, kv := range environ {
		if name, ok := strings.CutPrefix(kv, "POD_NAME="); ok && name != "" {
			return name
		}
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "load-balancer"
	}
	return name
}
