package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// tailLines is how much of a log a fault shows; the rest is in the file that it names.
const tailLines = 12

// partError is a part that does not do what it should.
type partError struct {
	part string
	what error
}

func (f *partError) Error() string { return f.part + ": " + f.what.Error() }
func (f *partError) Unwrap() error { return f.what }

// explain adds the last lines of the log of the part at fault, and where the rest is. It moves the
// logs to where they outlive the cluster.
func (c *Cluster) explain(err error) error {
	kept := c.keepLogs()
	var fault *partError
	if !errors.As(err, &fault) {
		return err
	}
	path := filepath.Join(kept, fault.part+".log")
	lines := lastLines(path, tailLines)
	if lines == "" {
		return fmt.Errorf("%w\nits log is empty: %s", err, path)
	}
	return fmt.Errorf("%w\nthe last lines of %s:\n%s", err, path, lines)
}

// lastLines reads the end of a file, at most some lines and some kilobytes of it.
func lastLines(path string, count int) string {
	const most = 16 << 10
	file, err := os.Open(path) //nolint:gosec // a log of the cluster
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > most {
		if _, err := file.Seek(-most, 2); err != nil {
			return ""
		}
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(file); err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimRight(content.Bytes(), "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-count):], []byte("\n")))
}
