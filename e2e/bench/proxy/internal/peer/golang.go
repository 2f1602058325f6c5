package peer

// The proxies that this program is itself, when it is started with their names.
const (
	ReverseProxy = "reverseproxy"
	Bare         = "bare"
)

// golang is one of them.
type golang struct {
	name   string
	binary string
}

func (g golang) Name() string { return g.name }

func (g golang) Configure(s Site) (Command, error) {
	whole := g.name == ReverseProxy
	return Command{
		Path: g.binary, Admin: true, TLS: whole, H2: whole, Streams: whole,
		Args: []string{
			g.name, "-listen", s.Listen, "-listen-tls", s.ListenTLS, "-listen-h2", s.ListenH2, "-listen-admin", s.ListenAdmin,
			"-backend", s.Backend, "-backend-h2", s.BackendH2, "-certificate", s.Certificate, "-key", s.Key,
		},
	}, nil
}
