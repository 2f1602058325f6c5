package scaling

import (
	"fmt"
	"strings"
	"time"
)

// How reasons are worded, here and where a way down is led (lifecycle).

// Count writes a number of things: 1 pod, 3 pods.
func Count(n int32, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Seconds writes a duration as a person would: 90 s, 0.5 s.
func Seconds(d time.Duration) string {
	return fmt.Sprintf("%v s", d.Round(100*time.Millisecond).Seconds())
}

// List names at most three.
func List(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}
