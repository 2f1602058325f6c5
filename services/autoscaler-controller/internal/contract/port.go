package contract

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Port is a port as a target names it: by its number, or by the name that the Service or the pod gives it.
type Port struct {
	Number int32  // 0 with a name
	Name   string // "" with a number
}

// String is how the user wrote it.
func (p Port) String() string {
	if p.Name != "" {
		return p.Name
	}
	return strconv.Itoa(int(p.Number))
}

// longestPortName is that of an IANA service name.
const longestPortName = 15

var (
	portNumber = regexp.MustCompile(`^[0-9]+$`)
	portName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	letter     = regexp.MustCompile(`[a-z]`)
)

// readPort reads a port, as Kubernetes would.
func readPort(text string) (Port, error) {
	if portNumber.MatchString(text) {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 || text[0] == '0' {
			return Port{}, fmt.Errorf("%q is not allowed: must be from 1 to 65535", text)
		}
		return Port{Number: int32(n)}, nil
	}
	if !portName.MatchString(text) || !letter.MatchString(text) || len(text) > longestPortName || strings.Contains(text, "--") {
		return Port{}, fmt.Errorf("%q is not allowed: must be a number from 1 to 65535, or a port's name: "+
			"at most 15 lower case letters, digits and single hyphens, a letter among them, no hyphen at either end", text)
	}
	return Port{Name: text}, nil
}
