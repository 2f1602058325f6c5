package message

import "bytes"

// The bounds of what stands around chunks.
const (
	maxChunkLine = 4 << 10 // a size with its extensions
	maxTrailer   = 16 << 10
	maxExcess    = 16 << 10 // of what is not data, beside 16 bytes a chunk and twice its data
	maxDigits    = 16
)

// Chunks takes a chunked body apart. The zero value begins. It reads from memory alone: Next tells
// what of the bytes at hand is data, and how much of them is done with.
type Chunks struct {
	left    uint64 // of the chunk that is read
	excess  int64  // see maxExcess
	state   chunkState
	size    HeadEnd // of the line or lines that are read
	Trailer Fields  // after the end
}

type chunkState uint8

const (
	atSize chunkState = iota
	inData
	afterData
	inTrailer
	chunksEnded
)

// Next returns the data that b begins with, at most most bytes of it, once what stands before it is
// done with, and how many bytes of b are done with then, the data included. Without data and without
// error either the body has ended (see Ended), or more bytes are needed than b has. What is faulty is
// never done with, so an error comes again however often it is asked; what stands before it is.
func (c *Chunks) Next(b []byte, most int) (data []byte, used int, err error) {
	for {
		switch c.state {
		case atSize:
			n, err := c.readSize(b[used:])
			if n == 0 || err != nil {
				return nil, used, err
			}
			used += n
		case inData:
			n := int(min(c.left, uint64(min(len(b)-used, most)))) //nolint:gosec // G115: bounded by the length of b
			if n == 0 {
				return nil, used, nil
			}
			c.Took(n)
			return b[used : used+n], used + n, nil
		case afterData:
			if len(b)-used < 2 {
				if len(b)-used == 1 && b[used] != '\r' {
					return nil, used, bad("chunk", "its data must end with CR LF")
				}
				return nil, used, nil
			}
			if b[used] != '\r' || b[used+1] != '\n' {
				return nil, used, bad("chunk", "its data must end with CR LF")
			}
			used += 2
			c.state, c.size = atSize, HeadEnd{}
		case inTrailer:
			n, err := c.readTrailer(b[used:])
			return nil, used + n, err
		case chunksEnded:
			return nil, used, nil
		}
	}
}

// Left is how much data of the chunk that is read has not come yet: a reader may take that much past
// Next, and say so with Took.
func (c *Chunks) Left() uint64 {
	if c.state != inData {
		return 0
	}
	return c.left
}

// Took says that so much data was read past Next.
func (c *Chunks) Took(n int) {
	if c.left -= uint64(n); c.left == 0 { //nolint:gosec // G115: n is not negative
		c.state = afterData
	}
}

// Ended tells whether the body was read to its end, its trailer included.
func (c *Chunks) Ended() bool { return c.state == chunksEnded }

func (c *Chunks) readSize(b []byte) (int, error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxChunkLine {
			return 0, bad("chunk", "its size and extensions are too long")
		}
		if len(b) > 0 && hexDigit(b[0]) < 0 {
			return 0, bad("chunk", "it must begin with its size in hexadecimal digits")
		}
		return 0, nil
	}
	if end < 1 || b[end-1] != '\r' || end > maxChunkLine {
		return 0, bad("chunk", "its size must end with CR LF")
	}
	size, err := chunkSize(b[:end-1])
	if err != nil {
		return 0, err
	}
	// Lines that are much longer than their data would have a body go on for ever that is within every
	// limit.
	excess := max(c.excess+int64(end+1)-16-2*int64(min(size, maxExcess)), 0)
	if excess > maxExcess {
		return 0, bad("chunk", "its extensions must not be much longer than the data")
	}
	c.excess = excess
	c.left, c.state = size, inData
	if size == 0 {
		c.state, c.size = inTrailer, HeadEnd{}
	}
	return end + 1, nil
}

// chunkSize reads hexadecimal digits, and behind them nothing but extensions.
func chunkSize(line []byte) (uint64, error) {
	var size uint64
	i := 0
	for ; i < len(line) && hexDigit(line[i]) >= 0; i++ {
		if i == maxDigits || size > 1<<58 {
			return 0, bad("chunk", "its size is too large")
		}
		size = size<<4 | uint64(hexDigit(line[i])) //nolint:gosec // G115: a digit
	}
	if rest := line[i:]; i == 0 || len(rest) > 0 && rest[0] != ';' || hasControl(rest) {
		return 0, bad("chunk", "its size must be hexadecimal digits, and extensions must begin with a semicolon")
	}
	return size, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// readTrailer reads the lines behind the last chunk when they are all there.
func (c *Chunks) readTrailer(b []byte) (int, error) {
	end, err := c.size.Find(b)
	switch {
	case err != nil:
		return 0, err
	case end > maxTrailer, end == 0 && len(b) > maxTrailer:
		return 0, bad("trailer", "it is too long")
	case end == 0:
		return 0, nil
	case end > 2:
		if c.Trailer, err = ParseTrailer(nil, b[:end]); err != nil {
			c.size = HeadEnd{} // to be found again
			return 0, err
		}
	}
	c.state = chunksEnded
	return end, nil
}
