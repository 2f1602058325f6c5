package peer

import "path/filepath"

// nginx is Debian's nginx with one worker.
type nginx struct {
	name          string
	log, buffered bool
}

func (n nginx) Name() string { return n.name }

func (n nginx) Configure(s Site) (Command, error) {
	s.Buffered = n.buffered
	if n.log {
		s.Log = filepath.Join(s.Dir, "access.log")
	}
	config, err := write(s, "nginx.conf")
	return Command{Path: "nginx", Args: []string{"-p", s.Dir, "-c", config, "-e", "stderr"}, Log: s.Log, TLS: true, H2: true, Streams: true}, err
}
