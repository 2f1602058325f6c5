//go:build !unix

package link

import "syscall"

const canWait = false

func read(uintptr, []byte) (int, bool, error)  { return 0, false, syscall.EINVAL }
func silent(syscall.RawConn) bool              { return true }
func ended(syscall.RawConn) bool               { return true }
func write(uintptr, []byte) (int, bool, error) { return 0, false, syscall.EINVAL }
