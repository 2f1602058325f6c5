package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin brings this program to the core that is not the controller's.
func pin() error {
	var all, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	if !all.IsSet(subjectCPU) || !all.IsSet(otherCPU) {
		return fmt.Errorf("the cores %d and %d are not both there: one is for the controller, one for all else", subjectCPU, otherCPU)
	}
	set.Set(otherCPU)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads { // threads that are made later inherit it
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("affinity: %w", err)
		}
	}
	return nil
}
