package node

import (
	"os"
	"sync"
)

// logLimit bounds each log file; the file before it is kept once, as NAME.1.
const logLimit = 16 << 20

// boundedLog appends to a file and starts a new one when it is full. A log that cannot be written
// is dropped: it must never stop the part that writes it.
type boundedLog struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

func newBoundedLog(path string) *boundedLog { return &boundedLog{path: path} }

// Write appends; it always reports success, see boundedLog.
func (l *boundedLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		l.open()
	}
	if l.size+int64(len(text)) > logLimit && l.size > 0 {
		l.rotate()
	}
	if l.file != nil {
		written, _ := l.file.Write(text)
		l.size += int64(written)
	}
	return len(text), nil
}

func (l *boundedLog) open() {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	if info, err := file.Stat(); err == nil {
		l.size = info.Size()
	}
	l.file = file
}

func (l *boundedLog) rotate() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	_ = os.Rename(l.path, l.path+".1")
	l.size = 0
	l.open()
}
