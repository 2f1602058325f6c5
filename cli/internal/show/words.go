package show

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Ago is how long ago something was.
func Ago(then *time.Time, now time.Time) string {
	if then == nil || then.IsZero() {
		return ""
	}
	return Duration(now.Sub(*then))
}

// Duration is a time as people say it: two units at most, and no more precise than it matters.
func Duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return trimmed(d.Seconds(), 1) + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Seconds())/60, "min", int(d.Seconds())%60, "s", d < 10*time.Minute)
	case d < 48*time.Hour:
		return two(int(d.Minutes())/60, "h", int(d.Minutes())%60, "min", d < 10*time.Hour)
	default:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h", d < 10*24*time.Hour)
	}
}

func two(large int, unit string, small int, of string, precise bool) string {
	if small == 0 || !precise {
		return fmt.Sprintf("%d %s", large, unit)
	}
	return fmt.Sprintf("%d %s %d %s", large, unit, small, of)
}

// Seconds is a number of seconds as a time.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }

// Milliseconds is a number of milliseconds as a time.
func Milliseconds(ms float64) string {
	if ms < 1000 {
		return trimmed(ms, 1) + " ms"
	}
	return Seconds(ms / 1000)
}

// Number is a value with as many digits as matter.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return trimmed(v, 1)
	default:
		return trimmed(v, 2)
	}
}

func trimmed(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Bytes is a size.
func Bytes(n int64) string {
	const step = 1024
	v, unit := float64(n), 0
	for units := []string{"B", "KiB", "MiB", "GiB", "TiB"}; v >= step && unit < len(units)-1; unit++ {
		v /= step
	}
	return Number(v) + " " + []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
}

// Count is a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Bar is a bar of a length between from and to, on a scale of the whole, width wide.
func Bar(from, to, whole float64, width int) string {
	if whole <= 0 {
		return ""
	}
	begin := int(math.Round(from / whole * float64(width)))
	end := int(math.Round(to / whole * float64(width)))
	begin = min(max(begin, 0), width-1)
	end = min(max(end, begin+1), width)
	return strings.Repeat(" ", begin) + strings.Repeat("█", end-begin)
}
