// Package websocket knows where a WebSocket's frames begin and end, and how one is written that closes
// it (RFC 6455, sections 5 and 7). It holds no byte of what passes, and knows no message: extensions
// such as compression change what is in a frame, and not where it ends.
//
// It is pure: whose frames they are, and when to close, others say.
package websocket

// Frames follows one direction of a WebSocket, frame by frame. The zero value stands before the first
// one.
type Frames struct {
	left   uint64 // bytes of the frame that still come, once its header has told them
	length uint64 // of the payload, as far as it is known
	extend uint8  // bytes of the length that still come
	at     place
	opcode uint8
	masked bool
	within bool // a message of several frames is under way
	closed bool // the frame that closes has passed
	lost   bool // this is no WebSocket: where the next frame begins nobody knows
}

// place is which part of a frame comes next.
type place uint8

const (
	first  place = iota // the byte with the opcode: between two frames
	second              // the byte with the length, or what says how long the length is
	length
	payload // with the mask before it
)

const (
	final       = 0x80 // of the first byte: the message's last frame
	opcodes     = 0x0f
	control     = 0x08 // of an opcode: a frame that may stand between those of a message
	closing     = 0x08
	maskBit     = 0x80 // of the second byte
	maskSize    = 4
	twoBytes    = 126 // what stands for a length in the next bytes
	eightBytes  = 127
	longest     = 125
	mostPayload = 1<<63 - 1
)

// Pass follows p from where the bytes before it ended.
func (f *Frames) Pass(p []byte) {
	for len(p) > 0 {
		p = p[f.ToEnd(p):]
	}
}

// ToEnd follows p to the end of the frame that is under way, or that begins with p, and returns how
// many bytes that were: all of them when the frame does not end in p.
func (f *Frames) ToEnd(p []byte) int {
	for n := 0; n < len(p); {
		if f.at == payload || f.lost {
			return n + f.skip(len(p)-n)
		}
		f.header(p[n])
		if n++; f.at == payload && f.left == 0 {
			f.end()
			return n
		}
	}
	return len(p)
}

// skip passes over so many bytes of a payload, if it has as many.
func (f *Frames) skip(n int) int {
	if f.lost {
		return n
	}
	if have := uint64(n); have < f.left { //nolint:gosec // a length
		f.left -= have
		return n
	}
	n = int(f.left) //nolint:gosec // it is not above n
	f.end()
	return n
}

// header takes the next byte of a frame's header.
func (f *Frames) header(b byte) {
	switch f.at {
	case first:
		f.opcode, f.at = b&opcodes, second
		if f.opcode&control == 0 {
			f.within = b&final == 0
		}
	case second:
		f.masked, f.length, f.extend, f.at = b&maskBit != 0, uint64(b&^maskBit), 0, length
		switch f.length {
		case twoBytes:
			f.extend, f.length = 2, 0
		case eightBytes:
			f.extend, f.length = 8, 0
		default:
			f.known()
		}
	default:
		f.length = f.length<<8 | uint64(b)
		if f.extend--; f.extend == 0 {
			f.known()
		}
	}
}

// known is called when the length is.
func (f *Frames) known() {
	f.left, f.at, f.lost = f.length, payload, f.length > mostPayload
	if f.masked {
		f.left += maskSize
	}
}

func (f *Frames) end() {
	f.closed = f.closed || f.opcode == closing
	f.left, f.at = 0, first
}

// Between tells whether nothing of a frame is under way: another one may be put here.
func (f *Frames) Between() bool { return f.at == first && !f.lost }

// BetweenMessages tells whether nothing of a message is under way either.
func (f *Frames) BetweenMessages() bool { return f.Between() && !f.within }

// Closed tells whether the frame has passed after which no other may come.
func (f *Frames) Closed() bool { return f.closed }
