package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 5 * time.Minute // on two busy cores it took 40 s; beside a whole run of the tests, with what that leaves, more than two minutes
	endTime   = 20 * time.Second
	pollTime  = 100 * time.Millisecond
)

// start starts the server's processes, in a group of their own, and waits until it answers.
func (s *Server) start(ctx context.Context) error {
	if pids := s.running(); len(pids) > 0 {
		return fmt.Errorf("it runs already, as process %d", pids[0])
	}
	if err := s.configure(hasAddress); err != nil {
		return err
	}
	log, err := os.OpenFile(s.path("output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	server := exec.Command(s.path("program", "bin", "elasticsearch")) //nolint:gosec,noctx // it outlives this program
	server.Env, server.Dir, server.Stdout, server.Stderr = s.variables(), s.Home, log, log
	server.SysProcAttr = s.Account.attributes()
	server.SysProcAttr.Setsid = true
	if err := server.Start(); err != nil {
		return err
	}
	s.Group = server.Process.Pid
	if err := s.save(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait() // its last words say more
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		select {
		case <-ended:
			return fmt.Errorf("it ended while it started:\n%s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("it did not answer: %w\n%s", context.Cause(ctx), s.lastWords())
		case <-poll.C:
			if s.answers(ctx) {
				return nil
			}
		}
	}
}

// answers asks whether it is ready to take documents.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/_cluster/health?wait_for_status=yellow&timeout=1s", http.NoBody)
	if err != nil {
		return false
	}
	if s.Security {
		request.SetBasicAuth(adminUser, adminPassword)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

func (s *Server) lastWords() string {
	const most = 4000
	text, _ := os.ReadFile(s.path("output.log"))
	return string(text[max(0, len(text)-most):])
}

// end sends a signal to all its processes and waits until they are gone; who does not go is killed.
func (s *Server) end(signal syscall.Signal) error {
	if len(s.running()) == 0 {
		return nil
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for _, signal := range []syscall.Signal{signal, syscall.SIGKILL} {
		if err := s.signal(signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		for deadline := time.Now().Add(endTime); time.Now().Before(deadline); <-poll.C {
			if len(s.running()) == 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("the processes %v do not end", s.running())
}

func (s *Server) signal(signal syscall.Signal) error {
	if len(s.running()) == 0 {
		return errors.New("it does not run")
	}
	return syscall.Kill(-s.Group, signal)
}

// running returns its processes: of its group, and started from its folder, so that a number that
// the system has given anew harms nobody. Who has ended and was not awaited does not count.
func (s *Server) running() []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var pids []int
	for _, stat := range stats {
		text, err := os.ReadFile(stat) //nolint:gosec // a file of the kernel
		if err != nil {
			continue
		}
		// pid (name, which may hold anything) state parent group ...
		fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
		if len(fields) < 3 || fields[0] == "Z" || fields[2] != strconv.Itoa(s.Group) {
			continue
		}
		folder := filepath.Dir(stat)
		if line, err := os.ReadFile(filepath.Join(folder, "cmdline")); err == nil && strings.Contains(string(line), s.Home) { //nolint:gosec // a file of the kernel
			pid, _ := strconv.Atoi(filepath.Base(folder))
			pids = append(pids, pid)
		}
	}
	return pids
}
