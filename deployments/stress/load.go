package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// busy keeps n processors busy until it is told to stop, or this process ends however it ends: the load
// is this process itself, so that none of it can be left behind. Each of the n has a thread of its own,
// which the system schedules beside those of the tests as it would another program's.
func busy(n int) (stop func()) {
	// The loops hold a processor of the Go scheduler each; what watches the tests needs its own.
	before := runtime.GOMAXPROCS(runtime.NumCPU() + n)
	var ended atomic.Bool
	var loops sync.WaitGroup
	for range n {
		loops.Go(func() {
			runtime.LockOSThread()
			for !ended.Load() { // nothing, as fast as can be
			}
		})
	}
	return func() {
		ended.Store(true)
		loops.Wait()
		runtime.GOMAXPROCS(before)
	}
}
