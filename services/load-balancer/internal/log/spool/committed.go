package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	committedFile = "committed.json"
	identityFile  = "identity"
)

// committed is up to where everything was acknowledged.
type committed struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
	Records int64  `json:"records"` // of the segment, before the offset
}

// readCommitted reads it; from the beginning when there is none, or none that can be read: what is
// shipped twice has the same ids.
func readCommitted(dir string) committed {
	var c committed
	raw, err := os.ReadFile(filepath.Join(dir, committedFile)) //nolint:gosec // G304: the operator names the folder
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return committed{}
	}
	return c
}

// committedBytes is the size of the file: three numbers, and spaces behind them.
const committedBytes = 128

// write puts it in the place of what was there. All of it lies in one page, so a process that is killed
// leaves the one or the other; a new file for each would cost more than the rest of a batch, and room on
// a disk that is full. It is not flushed to the device: an older one ships again what has the same ids.
func (c committed) write(dir string) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	line := append(bytes.Repeat([]byte(" "), committedBytes-1), '\n')
	copy(line, raw)
	f, err := os.OpenFile(filepath.Join(dir, committedFile), os.O_CREATE|os.O_WRONLY, fileMode) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

// Replace writes a file of the folder as a whole: who reads it finds the old content or the new.
func Replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, fileMode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

var identity = regexp.MustCompile(`^[0-9a-f]{16}$`)

// identify is what tells this folder from others, so that a place in another one is not taken for
// one here.
func identify(dir string) (string, error) {
	path := filepath.Join(dir, identityFile)
	raw, _ := os.ReadFile(path) //nolint:gosec // G304: the operator names the folder
	if id := strings.TrimSpace(string(raw)); identity.MatchString(id) {
		return id, nil
	}
	fresh := make([]byte, 8)
	_, _ = rand.Read(fresh) // it never fails
	id := hex.EncodeToString(fresh)
	return id, Replace(path, []byte(id+"\n"))
}
