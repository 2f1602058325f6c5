package collect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxFiles bounds a walk; diskShare how much of the time walks may take: after one of 100 ms the next
// comes 10 s later at the earliest.
const (
	maxFiles  = 200_000
	diskShare = 100
)

// disk adds up the files in the pod's writable folders. The file system itself would tell more
// cheaply what is in use, but an emptyDir lies on the node's, and that is the node's use.
type disk struct {
	paths []string
	next  time.Time
	bytes uint64
	err   error
}

// read is the use in bytes; the last one when the next walk is not due.
func (d *disk) read(now func() time.Time) (uint64, error) {
	began := now()
	if began.Before(d.next) {
		return d.bytes, d.err
	}
	d.bytes, d.err = used(d.paths, maxFiles)
	ended := now()
	d.next = ended.Add(diskShare * ended.Sub(began))
	return d.bytes, d.err
}

// walk is one look at all folders.
type walk struct {
	most   int
	files  int
	linked map[file]bool
	bytes  uint64
}

// file is one file, whatever the number of its names.
type file struct{ device, number uint64 }

// used is the space that the files below the paths take, in bytes. A folder that cannot be read makes
// the sum wrong, so that there is none.
func used(paths []string, most int) (uint64, error) {
	w := walk{most: most, linked: map[file]bool{}}
	for _, root := range paths {
		info, err := os.Lstat(root)
		if err != nil {
			return 0, err
		}
		w.add(info)
		if !info.IsDir() {
			continue
		}
		if err := w.below(root, device(info)); err != nil {
			return 0, err
		}
	}
	return w.bytes, nil
}

// below adds what is in a folder and in those below it, as far as it lies on the same device.
func (w *walk) below(root string, on uint64) error {
	folders := []string{root}
	for len(folders) > 0 {
		folder := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		err := each(folder, func(entry fs.DirEntry) error {
			if w.files++; w.files > w.most {
				return fmt.Errorf("%s has more than %d files, and no more are looked at", root, w.most)
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			if err != nil {
				return err
			}
			if device(info) != on { // something else is mounted there
				return nil
			}
			w.add(info)
			if entry.IsDir() {
				folders = append(folders, filepath.Join(folder, entry.Name()))
			}
			return nil
		})
		if err != nil && (folder == root || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// add counts the space of a file, once for all of its names.
func (w *walk) add(info fs.FileInfo) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	if stat.Nlink > 1 && !info.IsDir() {
		id := file{stat.Dev, stat.Ino}
		if w.linked[id] {
			return
		}
		w.linked[id] = true
	}
	w.bytes += uint64(max(stat.Blocks, 0)) * blockSize
}

// blockSize is the unit of Stat_t.Blocks, whatever the file system's own is.
const blockSize = 512

func device(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Dev
}

// each reads a folder in parts, so that one with a million files does not fill the memory.
func each(folder string, do func(fs.DirEntry) error) error {
	f, err := os.Open(folder) //nolint:gosec // G304: the operator names the folders
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for {
		entries, err := f.ReadDir(256)
		for _, entry := range entries {
			if err := do(entry); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
