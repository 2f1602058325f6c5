// Package check says whether an installation is well: of each thing that was looked at what is wrong with it, and what
// to do. It is pure: what is known comes in as Facts, which others gather, and what they could not see is said too.
package check

import (
	"fmt"
	"slices"
	"strings"
)

// Level is how bad something is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Unseen  Level = "unseen" // it could not be looked at
	Warning Level = "warning"
	Fault   Level = "fault"
)

// Finding is what came of looking at one thing.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty"`
}

// Look says of each thing how it is.
func Look(f Facts) []Finding {
	looks := []func(Facts) []Finding{
		resource, controller, pods, versions, leader, authority, shown, rights, balancers, settings, reports, logs, policies, clocks, applications,
	}
	all := make([]Finding, 0, 2*len(looks))
	for _, look := range looks {
		all = append(all, look(f)...)
	}
	for i := range all {
		all[i].Do = strings.ReplaceAll(all[i].Do, "NAMESPACE", f.System)
	}
	return all
}

// Worst is the worst level of all.
func Worst(all []Finding) Level {
	order := []Level{OK, Unseen, Warning, Fault}
	worst := OK
	for _, one := range all {
		if slices.Index(order, one.Level) > slices.Index(order, worst) {
			worst = one.Level
		}
	}
	return worst
}

func one(check string, level Level, do, format string, args ...any) []Finding {
	return []Finding{{check, level, fmt.Sprintf(format, args...), do}}
}

func unseen(check string, err error) []Finding {
	return one(check, Unseen, "look at it with the rights of who runs Nemesis", "not seen: %v", err)
}

// orWell is what was found or, where that is nothing, that the thing is as it should be.
func orWell(all []Finding, check, format string, args ...any) []Finding {
	if len(all) == 0 {
		return one(check, OK, "", format, args...)
	}
	return all
}
