package elastic

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// conn is a connection in clear to which the kernel copies what lies in a file: what is shipped does not
// go through this process a second time. Over TLS it must, and goes the usual way.
type conn struct{ *net.TCPConn }

// fromFiles has a connection take from files, if it can.
func fromFiles(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp}
	}
	return c
}

// sendAtOnce bounds one call, as the standard library does.
const sendAtOnce = 4 << 20

// ReadFrom sends what r still has. net/http gives it the body, limited to its length.
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	limited, section := sectionOf(r)
	if section == nil {
		return c.TCPConn.ReadFrom(r)
	}
	file, offset, size := inFile(section)
	if file == nil {
		return c.TCPConn.ReadFrom(r)
	}
	sent, err := c.send(file, offset, min(size, limited.N))
	if sent == 0 && cannot(err) {
		return c.TCPConn.ReadFrom(r)
	}
	limited.N -= sent
	if _, seekErr := section.Seek(sent, io.SeekCurrent); err == nil {
		err = seekErr
	}
	return sent, err
}

// sectionOf is the body of a bulk request, as net/http passes it on; nil: it is something else.
func sectionOf(r io.Reader) (*io.LimitedReader, *io.SectionReader) {
	limited, _ := r.(*io.LimitedReader)
	if limited == nil {
		return nil, nil
	}
	body, _ := limited.R.(section)
	return limited, body.SectionReader
}

// inFile is where in which file lies what is left of a section; nil: it is in none.
func inFile(s *io.SectionReader) (file *os.File, offset, size int64) {
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, 0
	}
	size = s.Size() - at
	for offset = at; ; {
		outer, begin, _ := s.Outer()
		offset += begin
		switch outer := outer.(type) {
		case *os.File:
			return outer, offset, size
		case *io.SectionReader:
			s = outer
		default:
			return nil, 0, 0
		}
	}
}

// send sends a part of a file; less than was asked for, without an error, when the file ends before.
func (c conn) send(file *os.File, offset, size int64) (sent int64, err error) {
	to, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	from, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fault, closed error
	err = to.Write(func(socket uintptr) (done bool) {
		closed = from.Control(func(fd uintptr) {
			var n int64
			n, done, fault = transfer(int(socket), int(fd), offset+sent, size-sent)
			sent += n
		})
		return done || closed != nil
	})
	for _, f := range []error{fault, closed} {
		if f != nil {
			err = f
		}
	}
	return sent, err
}

// transfer has the kernel send until the socket takes no more, which is not done.
func transfer(socket, file int, offset, size int64) (sent int64, done bool, err error) {
	for sent < size {
		at := offset + sent
		n, err := unix.Sendfile(socket, file, &at, int(min(size-sent, sendAtOnce)))
		sent += int64(max(n, 0))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return sent, false, nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return sent, true, os.NewSyscallError("sendfile", err)
		case n == 0:
			return sent, true, nil
		}
	}
	return sent, true, nil
}

// cannot tells whether the kernel sends nothing of this file in this way, whatever is tried.
func cannot(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}
