package peer

import (
	"path/filepath"
)

// ours is a load balancer of this repository, of some revision.
type ours struct {
	name   string
	binary string
	sample string // which share of requests is logged
}

func (o ours) Name() string { return o.name }

func (o ours) Configure(s Site) (Command, error) {
	spool := filepath.Join(s.Dir, "spool")
	if o.sample != "0" {
		s.Log = spool
	}
	return Command{
		Path: o.binary,
		Args: []string{
			"-data-listen", s.Listen, "-admin-listen", s.ListenAdmin, "-controller-url", s.Controller, "-identity", o.name,
			"-lame-duck", "0s", "-drain-timeout", "1s", "-log-spool-dir", spool, "-log-spool-mib", "1024", "-log-sample", o.sample,
		},
		Log: s.Log, Admin: true, Streams: true, Wakes: true,
	}, nil
}
