package history

import "math/bits"

// Numbers are kept like floating point: exact while they are small, and then with so many binary digits. A
// number is never altered by being read and kept again.

// pack keeps a number in so many bits, `digits` of which are its digits behind the first.
func pack(v uint64, width, digits int) uint16 {
	most := uint64(1)<<width - 1
	if v < 1<<digits {
		return uint16(v) //nolint:gosec // G115: it is smaller than 2^digits
	}
	shift := bits.Len64(v) - digits - 1
	if shift > 0 { // to the nearest
		v += 1 << (shift - 1)
		if v < 1<<(shift-1) { // over the top
			return uint16(most) //nolint:gosec // G115: width is at most 16
		}
		shift = bits.Len64(v) - digits - 1
	}
	packed := uint64(shift+1)<<digits | (v>>shift - 1<<digits) //nolint:gosec // G115: shift is at most 64
	return uint16(min(packed, most))                           //nolint:gosec // G115: width is at most 16
}

func unpack(p uint16, digits int) int64 {
	exponent, rest := int(p>>digits), int64(p&(1<<digits-1))
	if exponent == 0 {
		return rest
	}
	return (rest + 1<<digits) << (exponent - 1)
}

const (
	wideDigits   = 11 // 16 bits: exact up to 4095, then within 0.03 %, up to 8·10¹²
	narrowDigits = 4  // 8 bits: exact up to 31, then within 3 %, up to half a million
	fewDigits    = 3  // 6 bits: exact up to 15, then within 7 %, up to 960
)

func wide(v float64) uint16 { return pack(whole(v), 16, wideDigits) }
func narrow(v int32) uint8  { return uint8(pack(uint64(max(v, 0)), 8, narrowDigits)) } //nolint:gosec // G115: 8 bits
func few(v int32) uint8     { return uint8(pack(uint64(max(v, 0)), 6, fewDigits)) }    //nolint:gosec // G115: 6 bits

// whole rounds a count; what is none is 0.
func whole(v float64) uint64 {
	switch {
	case !(v > 0): // and of no number at all
		return 0
	case v >= 1<<53:
		return 1 << 53
	}
	return uint64(v + .5)
}
