package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The cores.
const (
	proxyCPU = 0
	loadCPU  = 1
)

// pin starts this program again on the core of the load and with the priority, unless it is there. It
// says whether it did.
func pin(priority int) (bool, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return false, fmt.Errorf("affinity: %w", err)
	}
	if set.Count() == 1 && set.IsSet(loadCPU) {
		return false, nil
	}
	if !set.IsSet(loadCPU) || !set.IsSet(proxyCPU) {
		return false, fmt.Errorf("the cores %d and %d are not both there: one is for the proxies, one for load and backend", proxyCPU, loadCPU)
	}
	nice, err := exec.LookPath("nice")
	if err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	args := append([]string{"nice", "-n", strconv.Itoa(priority), "taskset", "-c", strconv.Itoa(loadCPU), self}, os.Args[1:]...)
	return true, syscall.Exec(nice, args, environ()) //nolint:gosec // G204: this program itself
}

// environ is ours without the settings of a load balancer.
func environ() []string {
	var kept []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEMESIS_") {
			kept = append(kept, kv)
		}
	}
	return kept
}
