package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Snapshotter tells which way of keeping image layers works in a directory: overlayfs, unless the
// directory itself is on one, as inside of most containers; the kernel does not stack them.
func Snapshotter(directory string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(directory, &stat); err != nil {
		return "", fmt.Errorf("file system of %s: %w", directory, err)
	}
	if stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native", nil
	}
	return "overlayfs", nil
}
