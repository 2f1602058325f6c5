// Package build says which build of Nemesis a program is. What it says is put here by the linker
// (deployments/internal/gobuild, or a service's Dockerfile), from the file VERSION and the commit;
// nothing is decided by it.
package build

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets both: -X github.com/nemesis-scaling/nemesis/pkg/build.version=0.1.0
var version, revision string

// Version is what the file VERSION said, and "dev" in a program that `go build` alone has made.
func Version() string {
	if version == "" {
		return "dev"
	}
	return version
}

// Revision is the commit, with "-dirty" when files had changed since, or "unknown".
func Revision() string {
	if revision != "" {
		return revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return "unknown"
}

// Go is the Go release that compiled the program.
func Go() string { return runtime.Version() }

// Line is what -version prints.
func Line(program string) string {
	return fmt.Sprintf("%s %s (revision %s, %s)", program, Version(), Revision(), Go())
}
