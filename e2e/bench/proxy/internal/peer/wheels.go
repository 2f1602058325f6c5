package peer

import (
	"fmt"
	"path/filepath"
)

// wheel is a proxy from a wheel of Python: Envoy, Traefik or Caddy.
type wheel struct {
	name    string
	log     bool
	files   []string // of configuration; the first one is read
	program string   // below the virtual environment, with * where versions are
	args    func(config string) []string
}

func (w wheel) Name() string { return w.name }

func (w wheel) Configure(s Site) (Command, error) {
	if w.log {
		s.Log = filepath.Join(s.Dir, "access.log")
	}
	found, err := filepath.Glob(w.program)
	if err != nil {
		return Command{}, err
	}
	if len(found) != 1 {
		return Command{}, fmt.Errorf("%s is not there: %w", w.program, errAbsent)
	}
	for _, file := range w.files {
		if _, err := write(s, file); err != nil {
			return Command{}, err
		}
	}
	return Command{
		Path: found[0], Args: w.args(filepath.Join(s.Dir, w.files[0])), Log: s.Log, TLS: true, H2: true, Streams: true,
		Env: []string{"HOME=" + s.Dir, "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir},
	}, nil
}

func envoy(name, wheels string, log bool) wheel {
	return wheel{name, log, []string{"envoy.yaml"}, filepath.Join(wheels, "lib/python*/site-packages/envoy/_bin/envoy"), func(config string) []string {
		return []string{"--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c", config}
	}}
}

func traefik(name, wheels string, log bool) wheel {
	return wheel{name, log, []string{"traefik.yaml", "traefik-routes.yaml"}, filepath.Join(wheels, "bin/traefik"), func(config string) []string {
		return []string{"--configFile=" + config}
	}}
}

func caddy(name, wheels string, log bool) wheel {
	return wheel{name, log, []string{"Caddyfile"}, filepath.Join(wheels, "bin/caddy"), func(config string) []string {
		return []string{"run", "--adapter", "caddyfile", "--config", config}
	}}
}
