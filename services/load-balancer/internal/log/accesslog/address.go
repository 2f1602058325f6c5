package accesslog

import "net/netip"

// appendIP appends an address that is one, as it is usually written: Elasticsearch refuses documents
// with others. It is false for a text that is none.
func appendIP(b []byte, address string) ([]byte, bool) {
	if isIPv4(address) {
		return append(b, address...), true
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return b, false
	}
	return ip.Unmap().WithZone("").AppendTo(b), true
}

// isIPv4 tells whether a text is an address of version 4 in the only form that netip takes: nothing
// needs to be read and written again.
func isIPv4(s string) bool {
	if len(s) > len("255.255.255.255") {
		return false
	}
	dots, value, length := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9' && length < 3 && (length == 0 || value > 0):
			value, length = 10*value+int(c-'0'), length+1
		case c == '.' && length > 0 && dots < 3:
			dots, value, length = dots+1, 0, 0
		default:
			return false
		}
		if value > 255 {
			return false
		}
	}
	return dots == 3 && length > 0
}
