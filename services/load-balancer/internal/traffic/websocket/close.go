package websocket

// GoingAway is the code of an end that has to do with neither side's errand (RFC 6455, section 7.4.1):
// clients connect anew.
const GoingAway = 1001

// AppendClose appends the frame with which a server closes. Of the reason there is room for 123 bytes,
// in UTF-8; what is longer is left out.
func AppendClose(b []byte, code uint16, reason string) []byte {
	reason = fits(reason)
	b = append(b, final|closing, byte(2+len(reason)), byte(code>>8), byte(code)) //nolint:gosec // fits bounds it, and the code goes byte by byte
	return append(b, reason...)
}

// AppendMaskedClose is the same for a client, who masks what it sends with a key of its own choice.
func AppendMaskedClose(b []byte, key [maskSize]byte, code uint16, reason string) []byte {
	reason = fits(reason)
	b = append(b, final|closing, maskBit|byte(2+len(reason)))                 //nolint:gosec // fits bounds it
	b = append(append(b, key[:]...), byte(code>>8)^key[0], byte(code)^key[1]) //nolint:gosec // the code goes byte by byte
	for i := range len(reason) {
		b = append(b, reason[i]^key[(i+2)%maskSize])
	}
	return b
}

func fits(reason string) string {
	if len(reason) > longest-2 {
		return ""
	}
	return reason
}
