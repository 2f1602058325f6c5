package app

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/receivers"
)

// Settings are what an operator can set: as flags, as environment variables (NEMESIS_LISTEN for
// listen) and in a YAML file.
type Settings struct {
	// Listen is the address of the API, the metrics and the health checks. Default ":8080".
	Listen string
	// Kubeconfig is the file that names the API server and the account. Empty, the default: as in
	// a pod.
	Kubeconfig string
	// LogLevel is the least level that is logged: debug, info, warn or error. Default info.
	LogLevel string
	// Namespace is the controller's own: the Lease and the load balancers' settings are kept there.
	// Default "nemesis-system".
	Namespace string
	// WatchNamespace is the only namespace that is watched. Empty, the default: all.
	WatchNamespace string
	// Identity names this replica; no other may have the same name. Default: the host's name.
	Identity string
	// Advertise is where other replicas find this one's API, host:port. Empty: they do not, and
	// serve by themselves what they would relay.
	Advertise string
	// Shards is into how many shards the applications are divided, from 1 to 64, by the hash of their
	// namespace. The replicas share them; all must have the same number. Default 1: one replica leads all.
	Shards int
	// AnonymousAccess lets callers without a token read custom resources with the controller's own
	// account. Default false.
	AnonymousAccess bool
	// Authentication is whether callers need a token: required, the default, or optional, which lets callers without
	// one as version 0.1.0 did, for a rollout from it.
	Authentication string
	// OpenMetrics lets anybody read /metrics. Default false: who may get /metrics of the API server.
	OpenMetrics bool
	// BalancerAccounts, CollectorAccounts and ControllerAccounts are the service accounts of the load balancers, the
	// collectors and the controller's replicas, namespace/name with commas between. Empty, the default: load-balancer,
	// metrics-collector and autoscaler-controller in Namespace.
	BalancerAccounts, CollectorAccounts, ControllerAccounts string
	// TokenFile has this service's own token for the audience nemesis, which is sent to the replica that leads. Without one
	// the changes that go through this replica are in its log alone. Default bearer.DefaultFile.
	TokenFile string
	// CallsPerSecond is how many calls of one person are served, four times as many at once; 0: any number. Default 100.
	// What services may is more than they need, and no setting.
	CallsPerSecond int
	// MaxConnections is how many connections may be open; more are closed at once. Default 16000.
	MaxConnections int
	// KeptConnections is how many of sidecars and collectors are kept between two pushes, some 20 KiB
	// each; the others come on a new one each time. Default 8000.
	KeptConnections int
	// Encryption says how the port speaks TLS.
	Encryption encryption.Settings
	// TLSNames are further names of the controller's certificate, with commas between: DNS names and IP
	// addresses by which it is reached beside those of its Service and its pod. Default none.
	TLSNames string
	// CertificateLifetime is how long a certificate counts that the controller issues; a root counts 365
	// times as long. Default 24h.
	CertificateLifetime time.Duration
	// WebhookListen is the address of the API server's questions (TLS): whether the sidecar is put into a pod,
	// and what is to be said of a CustomAutoscaler. Default "": there are none.
	WebhookListen string
	// SidecarImage is the image that is put into pods. Default: nemesis/sidecar of this version.
	SidecarImage string
	// SidecarGPUImage is the one for pods that ask for NVIDIA's GPUs. Default: the same.
	SidecarGPUImage string
	// SidecarControllerURL is where it sends what it measures. Default: this controller.
	SidecarControllerURL string
	// NotificationNetworks are the networks that notices may be sent to, with commas between; public stands for all
	// addresses of the internet. Default "": nobody is told anything.
	NotificationNetworks string
	// TraceURL is where a trace can be looked at, {traceId} standing for its id; the console links to it. Default "": it shows
	// the id.
	TraceURL string
}

// Load reads the settings. It returns settings.ErrHelp when only help was wanted.
func Load(args, environ []string, out io.Writer) (Settings, map[string]string, error) {
	var s Settings
	host, err := os.Hostname()
	if err != nil {
		host = "autoscaler-controller"
	}
	set := settings.New("autoscaler-controller", "NEMESIS_", out)
	set.Address(&s.Listen, "listen", ":8080", "address of the API, the metrics and the health checks")
	set.String(&s.Kubeconfig, "kubeconfig", "", "file that names the Kubernetes API server and the account; empty: as in a pod")
	set.Choice(&s.LogLevel, "log-level", "info", "least level that is logged", "debug", "info", "warn", "error")
	set.String(&s.Namespace, "namespace", "nemesis-system", "the controller's own namespace, where the Lease and the load balancers' settings are kept")
	set.String(&s.WatchNamespace, "watch-namespace", "", "the only namespace that is watched; empty: all")
	set.String(&s.Identity, "identity", host, "name of this replica, unlike that of any other")
	set.String(&s.Advertise, "advertise", "", "where other replicas find this one's API, host:port; empty: they do not")
	set.Int(&s.Shards, "shards", 1, 1, shard.Max, "into how many shards the applications are divided, among the replicas; the same for all")
	set.Bool(&s.AnonymousAccess, "anonymous-access", false, "let callers without a token read custom resources with the controller's own account")
	set.Choice(&s.Authentication, "authentication", authentication.Required, "whether callers need a token; optional: those without one may do everything, for a rollout from 0.1.0", authentication.Required, authentication.Optional)
	set.Bool(&s.OpenMetrics, "open-metrics", false, "let anybody read /metrics; false: who may get the path /metrics of the Kubernetes API server")
	set.Text(&s.BalancerAccounts, "balancer-accounts", "", "service accounts of load balancers, commas between; empty: load-balancer in the controller's namespace", authentication.AccountList, isAccounts)
	set.Text(&s.CollectorAccounts, "collector-accounts", "", "service accounts of collectors, commas between; empty: metrics-collector in the controller's namespace", authentication.AccountList, isAccounts)
	set.Text(&s.ControllerAccounts, "controller-accounts", "", "service accounts of this controller's replicas, commas between; empty: autoscaler-controller in the controller's namespace", authentication.AccountList, isAccounts)
	set.String(&s.TokenFile, "token-file", bearer.DefaultFile, "a projected service-account token for the audience nemesis, by which the replica that leads is told of the changes that go through this one, and others are asked for reports; empty: they are not")
	set.Int(&s.CallsPerSecond, "calls-per-second", 100, 0, 1_000_000, "calls of one person that are served, four times as many at once; 0: any number")
	set.Int(&s.MaxConnections, "max-connections", 16_000, 100, 1_000_000, "connections that may be open; more are closed at once")
	set.Int(&s.KeptConnections, "kept-connections", 8_000, 0, 1_000_000, "connections of sidecars and collectors that are kept between two pushes")
	s.Encryption.DeclareAuthority(set)
	set.String(&s.TLSNames, "tls-names", "", "further DNS names and IP addresses of the controller's certificate, with commas between")
	set.Duration(&s.CertificateLifetime, "certificate-lifetime", authority.LeafLifetime, time.Minute, 30*24*time.Hour, "how long a certificate counts that the controller issues; a root counts 365 times as long, and is published twice as long before it signs")
	set.AddressOrNone(&s.WebhookListen, "webhook-listen", "", "address of the API server's questions on pods and CustomAutoscalers, TLS; empty: none")
	set.String(&s.SidecarGPUImage, "sidecar-gpu-image", "", "the same for pods that ask for NVIDIA's GPUs, as nemesis/sidecar-nvml, which reads them; empty: sidecar-image")
	set.String(&s.SidecarImage, "sidecar-image", "", "image that is put into pods whose CustomAutoscaler asks for the sidecar; empty: nemesis/sidecar of this version")
	set.String(&s.SidecarControllerURL, "sidecar-controller-url", "", "where that one sends what it measures; empty: to this controller")
	set.Text(&s.NotificationNetworks, "notification-networks", "", "networks that notices may be sent to, public and CIDRs with commas between; empty: none are sent", receivers.NetworksAllowed, isNetworks)
	set.Text(&s.TraceURL, "trace-url", "", "where a trace can be looked at, for the console's links; empty: it shows the trace's id", traceURLAllowed, isTraceURL)
	err = errors.Join(set.Load(args, environ), s.Encryption.Validate())
	return s, set.Values(), err
}

func (s *Settings) level() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return level
}

func isNetworks(text string) bool {
	_, err := receivers.ParseNetworks(text)
	return err == nil
}

func isAccounts(text string) bool {
	_, err := authentication.Accounts(text)
	return err == nil
}
