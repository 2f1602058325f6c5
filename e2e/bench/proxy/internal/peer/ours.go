package peer

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Unguarded has a load balancer of ours speak to the controller of the benchmark, which has neither tokens nor
// certificates, and show its metrics to it, in clear text. One of before takes no notice.
var Unguarded = []string{"NEMESIS_CLEAR_TEXT=true", "NEMESIS_AUTHENTICATION=optional", "NEMESIS_OPEN_METRICS=true"}

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
	c := Command{
		Path: o.binary,
		Args: []string{
			"-data-listen", s.Listen, "-admin-listen", s.ListenAdmin, "-controller-url", s.Controller, "-identity", o.name,
			"-lame-duck", "0s", "-drain-timeout", "1s", "-log-spool-dir", spool, "-log-spool-mib", "1024", "-log-sample", o.sample,
		},
		Env: Unguarded, Log: s.Log, Admin: true, Streams: true, Wakes: true,
	}
	help, err := exec.Command(o.binary, "-help").CombinedOutput() //nolint:gosec,noctx // G204: a program of the benchmark, which ends at once
	if err != nil {
		return Command{}, fmt.Errorf("%s -help: %w", o.binary, err)
	}
	// The revisions that know TLS are those that know HTTP/2, at the port for HTTP/1.1 too.
	if bytes.Contains(help, []byte("-tls-listen")) {
		c.TLS, c.H2, c.OnePort = true, true, true
		c.Args = append(c.Args, "-tls-listen", s.ListenTLS, "-tls-cert-files", s.Certificate, "-tls-key-files", s.Key)
	}
	return c, nil
}
