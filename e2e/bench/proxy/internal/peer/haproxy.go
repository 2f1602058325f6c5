package peer

import "path/filepath"

// haproxy is Debian's HAProxy with one thread. It writes its log to its standard output, which is a file.
type haproxy struct {
	name string
	log  bool
}

func (h haproxy) Name() string { return h.name }

func (h haproxy) Configure(s Site) (Command, error) {
	if h.log {
		s.Log = filepath.Join(s.Dir, "out")
	}
	config, err := write(s, "haproxy.cfg")
	return Command{Path: "haproxy", Args: []string{"-db", "-f", config}, Log: s.Log, TLS: true, H2: true, Streams: true}, err
}
