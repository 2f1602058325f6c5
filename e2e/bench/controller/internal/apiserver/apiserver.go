// Package apiserver runs a Kubernetes API server on etcd and nothing else: no scheduler, no controllers,
// no kubelet. Whoever writes objects plays them. Everything listens on loopback, on ports that are free,
// and the data goes with the folder.
package apiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
)

// startWithin is how long a cold start may take while others keep the machine busy.
const startWithin = 2 * time.Minute

// Options say what is started, and where.
type Options struct {
	Binary string // the local cluster's "kubernetes": etcd and kube-apiserver in one
	Dir    string // emptied first
	Cores  []int  // of both, those of this program
}

// behind is how much nicer both are than this program: what it sends must not wait for what they do.
const behind = 3

// Server is the API server with its etcd.
type Server struct {
	*Client
	Kubeconfig string
	Tokens     *tokens.Book // of pods, which are verified by its keys
	etcd, api  *process.Process
	cores      []int
	store      string // where etcd's API in JSON is
}

// Start starts both and waits until the API server is ready.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if err := os.RemoveAll(o.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := FreePorts(3)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	signer, err := writeKeys(o.Dir, token)
	if err != nil {
		return nil, err
	}
	s := &Server{Kubeconfig: filepath.Join(o.Dir, "kubeconfig"), Tokens: tokens.NewBook(signer), cores: o.Cores, store: fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	s.etcd, err = process.Start(process.Options{
		Path: o.Binary, Args: append([]string{"etcd"}, etcdFlags(o.Dir, ports[0], ports[1])...), CPU: -1, Nice: behind, Out: filepath.Join(o.Dir, "etcd.log"),
	})
	if err != nil {
		return nil, err
	}
	s.api, err = process.Start(process.Options{
		Path: o.Binary, Args: append([]string{"kube-apiserver"}, serverFlags(o.Dir, ports[0], ports[2])...), Env: roomy(), CPU: -1, Nice: behind, Out: filepath.Join(o.Dir, "kube-apiserver.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, o.Dir, ports[2], token); err != nil {
		return nil, err
	}
	return s, errors.Join(s.etcd.Settle(), s.api.Settle())
}

// await waits for the certificate that the server makes itself, and for its readiness.
func (s *Server) await(ctx context.Context, dir string, port int, token string) error {
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		select {
		case <-s.api.Ended():
			return fmt.Errorf("kube-apiserver ended: see %s", filepath.Join(dir, "kube-apiserver.log"))
		case <-s.etcd.Ended():
			return fmt.Errorf("etcd ended: see %s", filepath.Join(dir, "etcd.log"))
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver is not ready after %s: see %s", startWithin, dir)
		case <-time.After(200 * time.Millisecond):
		}
		authority, err := os.ReadFile(filepath.Join(dir, "certificates", "apiserver.crt")) //nolint:gosec // G304: made by the server that was started here
		if err != nil {
			continue // not written yet
		}
		client, err := newClient(url, token, authority)
		if err != nil {
			continue // half written
		}
		if _, err := client.Do(ctx, Call{Method: "GET", Path: "/readyz"}); err != nil {
			continue
		}
		s.Client = client
		return writeKubeconfig(s.Kubeconfig, url, token, authority)
	}
}

// roomy has the API server collect garbage seldom: with a hundred thousand pods in its caches and one core it did little
// else, and no more than a few wake-ups a second got through. It may have half of the machine's memory.
func roomy() []string {
	var machine unix.Sysinfo_t
	if unix.Sysinfo(&machine) != nil {
		return nil
	}
	return []string{"GOGC=400", fmt.Sprintf("GOMEMLIMIT=%d", machine.Totalram*uint64(machine.Unit)/2)}
}

// Put stores an object without the API server, whose part in making a hundred thousand pods would take most
// of the time of a run. It sees them as any other.
func (s *Server) Put(ctx context.Context, key string, object []byte) error {
	return put(ctx, s.http, s.store, key, object)
}

// Drop removes all objects below a key from the store: the API server would take them one by one, which it cannot in
// the time of a call where there are thousands. It sees them go as any other.
func (s *Server) Drop(ctx context.Context, below string) error {
	return drop(ctx, s.http, s.store, below)
}

func put(ctx context.Context, client *http.Client, store, key string, object []byte) error {
	return ask(ctx, client, store, "put", key, map[string][]byte{"key": []byte(key), "value": object})
}

func drop(ctx context.Context, client *http.Client, store, below string) error {
	end := []byte(below)
	end[len(end)-1]++
	return ask(ctx, client, store, "deleterange", below, map[string][]byte{"key": []byte(below), "range_end": end})
}

// ask asks etcd.
func ask(ctx context.Context, client *http.Client, store, do, key string, what map[string][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, store+"/v3/kv/"+do, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd: %s %s: status %d: %s", do, key, answer.StatusCode, said[:min(len(said), maxComplain)])
	}
	return err
}

// Spread lets both run on a further core: while objects are made and nothing is measured.
func (s *Server) Spread(further int) error { return s.on(append(slices.Clone(s.cores), further)) }

// Gather brings both back to their cores.
func (s *Server) Gather() error { return s.on(s.cores) }

func (s *Server) on(cores []int) error {
	return errors.Join(s.etcd.Spread(cores...), s.api.Spread(cores...))
}

// CPU is the time that both ran.
func (s *Server) CPU() (time.Duration, error) {
	etcd, err := s.etcd.CPU()
	api, err2 := s.api.CPU()
	return etcd + api, errors.Join(err, err2)
}

// Stop ends both; the data does not matter.
func (s *Server) Stop() error {
	for _, p := range []*process.Process{s.api, s.etcd} {
		if p != nil {
			p.Kill()
		}
	}
	return nil
}

// FreePorts are ports of loopback that nobody has.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		ports = append(ports, number)
	}
	return ports, nil
}
