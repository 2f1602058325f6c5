package peer

// golang is a proxy in Go that this program is itself, when it is started with its name.
type golang struct {
	name   string
	binary string
}

func (g golang) Name() string { return g.name }

func (g golang) Configure(s Site) (Command, error) {
	return Command{Path: g.binary, Args: []string{g.name, s.Listen, s.ListenTLS, s.ListenAdmin, s.Backend, s.Certificate, s.Key}, Admin: true, TLS: g.name == "reverseproxy"}, nil
}
