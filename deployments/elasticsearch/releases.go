package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// release is a version of the server that the tests know.
type release struct {
	Version string
	SHA256  string // of the archive
	Java    int    // the oldest Java that it runs on
}

// releases are the oldest and the newest server that are tried, oldest first.
var releases = []release{
	{Version: "8.19.0", SHA256: "14833b2d86c30656901f92049f81fb5777a8e4545413c8656cd1a21b55173033", Java: 17},
	{Version: "9.3.2", SHA256: "99b5b540c8d3a5c53cbe1e4f35c46acefff59131760ddc330a7616cd319086f1", Java: 21},
}

// jdk is a Java on this machine.
type jdk struct {
	Home    string
	Version int
}

// choose returns the version that is wanted, or the newest that can run, and the oldest Java that
// runs it: that is the one it was made for.
func choose(version string, jdks []jdk) (release, jdk, error) {
	var fault error
	for _, r := range slices.Backward(releases) {
		if version != "" && r.Version != version {
			continue
		}
		if java, ok := fitting(r, jdks); ok {
			return r, java, nil
		}
		fault = fmt.Errorf("it needs Java %d or newer, and there is %s", r.Java, described(jdks))
	}
	if fault == nil {
		var known []string
		for _, r := range releases {
			known = append(known, r.Version)
		}
		fault = fmt.Errorf("version %q is not one of %s", version, strings.Join(known, ", "))
	}
	return release{}, jdk{}, fault
}

func fitting(r release, jdks []jdk) (jdk, bool) {
	var fits []jdk
	for _, j := range jdks {
		if j.Version >= r.Java {
			fits = append(fits, j)
		}
	}
	if len(fits) == 0 {
		return jdk{}, false
	}
	return slices.MinFunc(fits, func(a, b jdk) int { return cmp.Compare(a.Version, b.Version) }), true
}

func described(jdks []jdk) string {
	if len(jdks) == 0 {
		return "none"
	}
	var all []string
	for _, j := range jdks {
		all = append(all, strconv.Itoa(j.Version))
	}
	return "only " + strings.Join(all, ", ")
}

// findJDKs looks where distributions put Java, at what the usual variables name, and on the PATH.
func findJDKs() []jdk {
	homes, _ := filepath.Glob("/usr/lib/jvm/*")
	homes = append(homes, os.Getenv("ES_JAVA_HOME"), os.Getenv("JAVA_HOME"))
	if program, err := exec.LookPath("java"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			homes = append(homes, filepath.Dir(filepath.Dir(program)))
		}
	}
	found := map[string]jdk{}
	for _, home := range homes {
		if home, err := filepath.EvalSymlinks(home); err == nil {
			if _, err := os.Stat(filepath.Join(home, "bin", "java")); err != nil { //nolint:gosec // where the machine's owner says that Java is
				continue
			}
			if text, err := os.ReadFile(filepath.Join(home, "release")); err == nil { //nolint:gosec // a file of the JDK
				if version := javaVersion(string(text)); version > 0 {
					found[home] = jdk{Home: home, Version: version}
				}
			}
		}
	}
	all := slices.Collect(maps.Values(found))
	slices.SortFunc(all, func(a, b jdk) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.Home, b.Home))
	})
	return all
}

// javaVersion reads the feature release from a JDK's release file.
func javaVersion(release string) int {
	for line := range strings.Lines(release) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "JAVA_VERSION="); ok {
			first, _, _ := strings.Cut(strings.Trim(value, `"`), ".")
			n, _ := strconv.Atoi(first) // Java 8 calls itself 1.8: too old in any case
			return n
		}
	}
	return 0
}
