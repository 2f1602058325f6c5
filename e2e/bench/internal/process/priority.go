package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// autogroup is where Linux keeps the nice value of a session as a whole: where it groups processes by
// session, their own values count within the session alone.
const autogroup = "/proc/self/autogroup"

// Prefer gives this session the priority, a nice value, and returns what takes it back.
func Prefer(priority int) (restore func(), err error) {
	if priority == 0 {
		return func() {}, nil
	}
	err = os.WriteFile(autogroup, []byte(strconv.Itoa(priority)), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // this kernel does not group them
	}
	if err != nil {
		return nil, fmt.Errorf("priority: %d is not allowed here: %w", priority, err)
	}
	return func() { _ = os.WriteFile(autogroup, []byte("0"), 0) }, nil
}
