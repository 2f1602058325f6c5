package httpapi

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxVectors bounds how many merged versions are known: one comes with each change of the routes that a load
// balancer is told of which knows no shards. One that is behind by more is not believed to follow them.
const maxVectors = 1024

// vectors are the shards' versions that stand behind a version of all routes. The zero value is ready for use.
type vectors struct {
	mu    sync.Mutex
	known map[string][]string
	order []string // the oldest first
}

// keep names the versions of all shards by one.
func (v *vectors) keep(versions []string) string {
	name := joined(versions) + ".0"
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string][]string{}
	}
	if _, known := v.known[name]; known {
		return name
	}
	if len(v.order) == maxVectors {
		delete(v.known, v.order[0])
		v.order = slices.Delete(v.order, 0, 1)
	}
	v.known[name], v.order = versions, append(v.order, name)
	return name
}

// find is what stands behind a version; nil: that is not known here.
func (v *vectors) find(name string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[name]
}

// joined is a short name, in lower case letters and digits, for what all shards say.
func joined(parts []string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(strings.Join(parts, " "))) // never fails
	return "s" + strconv.FormatUint(sum.Sum64(), 36)
}
