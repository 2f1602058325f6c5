package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// accountName is the user that the server runs as when root starts it: it refuses to be root.
const accountName = "nemesis-elastic"

// account is who the server runs as; the zero value is who started this program.
type account struct {
	UID, GID uint32
	Made     bool // by us, so it goes with the server
}

// findAccount returns the account, made when it is missing.
func findAccount(ctx context.Context) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	made := false
	found, err := user.Lookup(accountName)
	if errors.As(err, new(user.UnknownUserError)) {
		out, err := exec.CommandContext(ctx, "useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", accountName).CombinedOutput()
		if err != nil {
			return account{}, fmt.Errorf("useradd %s: %w: %s; Elasticsearch refuses to run as root", accountName, err, out)
		}
		made = true
		found, err = user.Lookup(accountName)
		if err != nil {
			return account{}, err
		}
	} else if err != nil {
		return account{}, err
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	return account{UID: uint32(uid), GID: uint32(gid), Made: made}, err
}

// attributes make a process the account's.
func (a account) attributes() *syscall.SysProcAttr {
	if a.UID == 0 {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID}}
}

// own gives a folder to the account.
func (a account) own(folder string) error {
	if a.UID == 0 {
		return nil
	}
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.UID), int(a.GID)) //nolint:gosec // nobody else writes there yet
	})
}

// remove removes an account that was made here, unless another server runs as it: then userdel
// refuses, and it stays.
func (a account) remove() error {
	if !a.Made {
		return nil
	}
	const inUse = 8
	out, err := exec.Command("userdel", accountName).CombinedOutput() //nolint:noctx // short, and also after an interrupt
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == inUse {
		return nil
	}
	if err != nil {
		return fmt.Errorf("userdel %s: %w: %s", accountName, err, out)
	}
	return nil
}
