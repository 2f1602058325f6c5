package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// What a server with security on knows. It listens on this machine alone and holds test data.
const (
	adminUser      = "elastic"
	adminPassword  = "nemesis-admin-password"
	writerUser     = "nemesis-writer"
	writerPassword = "nemesis-writer-password"
	readerUser     = "nemesis-reader"
	readerPassword = "nemesis-reader-password"
)

// roles are those that `log-setup` makes where roles can be made over the network.
const roles = `nemesis-writer:
  indices:
    - names: ["logs-nemesis.*"]
      privileges: [create_doc, auto_configure]
nemesis-reader:
  indices:
    - names: ["logs-nemesis.*"]
      privileges: [read, view_index_metadata]
`

// clusterAddress is this machine's end of the link to the local Kubernetes: where it exists, pods
// reach the server there. local-kubernetes/internal/layout names it.
const clusterAddress = "10.87.0.1"

// Server is one server and the folder that is its own; all of it is kept in that folder.
type Server struct {
	Home     string  `json:"-"`
	Version  string  `json:"version"`
	Java     string  `json:"java"`
	Port     int     `json:"port"`
	Security bool    `json:"security"`
	InPods   bool    `json:"inPods"` // it listens where pods come, too
	Account  account `json:"account"`
	Group    int     `json:"group"` // the process group of the last start
}

func (s *Server) path(elements ...string) string {
	return filepath.Join(append([]string{s.Home}, elements...)...)
}

func (s *Server) url() string { return fmt.Sprintf("http://127.0.0.1:%d", s.Port) }

// up makes and starts a server in home, which must be empty or not exist.
func up(ctx context.Context, home, archive string, r release, java jdk, security bool, port int) error {
	home, err := filepath.Abs(home)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(home); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: `elasticsearch -home %s down` removes what is there", home, home)
	}
	if port == 0 {
		if port, err = freePort(ctx); err != nil {
			return err
		}
	}
	s := &Server{Home: home, Version: r.Version, Java: java.Home, Port: port, Security: security}
	if s.Account, err = findAccount(ctx); err != nil {
		return err
	}
	if err := s.furnish(ctx, archive); err != nil {
		return errors.Join(err, s.remove())
	}
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.down())
	}
	fmt.Fprintf(os.Stderr, "Elasticsearch %s on Java %d answers at %s\n", s.Version, java.Version, s.url())
	return nil
}

// furnish lays out program and configuration.
func (s *Server) furnish(ctx context.Context, archive string) error {
	if err := unpack(archive, s.path("program")); err != nil {
		return err
	}
	if err := s.configure(hasAddress); err != nil {
		return err
	}
	if s.Security {
		if err := os.WriteFile(s.path("program", "config", "roles.yml"), []byte(roles), 0o644); err != nil { //nolint:gosec // its user is another one
			return err
		}
	}
	if err := os.MkdirAll(s.path("tmp"), 0o755); err != nil { //nolint:gosec // its user is another one
		return err
	}
	if err := s.Account.own(s.Home); err != nil {
		return err
	}
	if !s.Security {
		return nil
	}
	for _, command := range []struct{ input, line string }{
		{"", "elasticsearch-keystore create"},
		{adminPassword, "elasticsearch-keystore add --stdin --force bootstrap.password"},
		{"", "elasticsearch-users useradd " + writerUser + " -p " + writerPassword + " -r nemesis-writer"},
		{"", "elasticsearch-users useradd " + readerUser + " -p " + readerPassword + " -r nemesis-reader"},
	} {
		words := strings.Fields(command.line)
		tool := exec.CommandContext(ctx, s.path("program", "bin", words[0]), words[1:]...) //nolint:gosec // the lines above
		tool.Env, tool.Dir, tool.Stdin = s.variables(), s.Home, strings.NewReader(command.input)
		tool.SysProcAttr = s.Account.attributes()
		if out, err := tool.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", words[0], err, out)
		}
	}
	return nil
}

// configure writes the configuration, with the addresses that there are now: the local Kubernetes may have come or gone
// since the last start, and a server that shall listen at an address that is not there ends.
func (s *Server) configure(has func(address string) bool) error {
	s.InPods = has(clusterAddress)
	return os.WriteFile(s.path("program", "config", "elasticsearch.yml"), []byte(s.configuration()), 0o644) //nolint:gosec // its user is another one
}

// configuration is elasticsearch.yml.
func (s *Server) configuration() string {
	hosts := "127.0.0.1"
	if s.InPods {
		hosts += ", " + clusterAddress
	}
	lines := []string{
		"cluster.name: nemesis-tests", "node.name: nemesis", "discovery.type: single-node",
		"http.host: [" + hosts + "]", fmt.Sprintf("http.port: %d", s.Port), "transport.host: 127.0.0.1",
		"path.data: " + s.path("data"), "path.logs: " + s.path("logs"),
		// What is tested is not how full this machine's disk is.
		"cluster.routing.allocation.disk.threshold_enabled: false",
		fmt.Sprintf("xpack.security.enabled: %t", s.Security),
	}
	return strings.Join(lines, "\n") + "\n"
}

// variables are what the server's programs run with.
func (s *Server) variables() []string {
	return []string{
		"ES_JAVA_HOME=" + s.Java, "ES_JAVA_OPTS=-Xms512m -Xmx512m", "ES_TMPDIR=" + s.path("tmp"),
		"HOME=" + s.Home, "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
	}
}

// environment is what tells others of the server, as NAME=value.
func (s *Server) environment() []string {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	all := []string{
		"NEMESIS_ELASTICSEARCH_URL=" + s.url(), "NEMESIS_ELASTICSEARCH_VERSION=" + s.Version,
		fmt.Sprintf("NEMESIS_ELASTICSEARCH_CONTROL='%s -home %s'", program, s.Home),
	}
	if s.InPods {
		all = append(all, fmt.Sprintf("NEMESIS_ELASTICSEARCH_POD_URL=http://%s:%d", clusterAddress, s.Port))
	}
	if s.Security {
		all = append(all,
			"NEMESIS_ELASTICSEARCH_ADMIN="+adminUser+":"+adminPassword,
			"NEMESIS_ELASTICSEARCH_WRITER="+writerUser+":"+writerPassword,
			"NEMESIS_ELASTICSEARCH_READER="+readerUser+":"+readerPassword)
	}
	for i := range all {
		all[i] = "export " + all[i]
	}
	return all
}

// save keeps what the next command needs to know.
func (s *Server) save() error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("server.json"), text, 0o600)
}

func load(home string) (*Server, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(home, "server.json")) //nolint:gosec // what save wrote
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no server in %s", home)
	}
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", home, err)
	}
	s.Home = home
	return s, nil
}

// down ends the server, if it runs, and removes its folder.
func (s *Server) down() error {
	_ = s.signal(syscall.SIGCONT) // one that is paused cannot end
	return errors.Join(s.end(syscall.SIGTERM), s.remove())
}

func (s *Server) remove() error {
	return errors.Join(os.RemoveAll(s.Home), s.Account.remove())
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func hasAddress(address string) bool {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.String() == address {
			return true
		}
	}
	return false
}
