package process

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pin starts this program again on the cores of the load and with the priority, unless it is there; what
// it starts from then on is there too. It says whether it did. The measured core must be there besides.
func Pin(priority, measured int, load []int, environ []string) (bool, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return false, fmt.Errorf("affinity: %w", err)
	}
	there := func(cpu int) bool { return set.IsSet(cpu) }
	missing := slices.ContainsFunc(load, func(cpu int) bool { return !there(cpu) })
	if set.Count() == len(load) && !missing {
		return false, nil
	}
	if missing || !there(measured) || len(load) == 0 {
		return false, fmt.Errorf("the cores %d and %v are not all there: one is for what is measured, the others for load and all else", measured, load)
	}
	nice, err := exec.LookPath("nice")
	if err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	names := make([]string, len(load))
	for i, cpu := range load {
		names[i] = strconv.Itoa(cpu)
	}
	args := append([]string{"nice", "-n", strconv.Itoa(priority), "taskset", "-c", strings.Join(names, ","), self}, os.Args[1:]...)
	return true, syscall.Exec(nice, args, environ) //nolint:gosec // G204: this program itself
}

// Others are the cores of this machine without one.
func Others(cpu int) []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var list []int
	for i := range 8 * len(set) * 8 {
		if i != cpu && set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}
