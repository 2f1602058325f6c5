package app

import (
	"log/slog"
	"strconv"
	"strings"
)

// What connections and the process itself hold, about, beside what is bounded by settings of its own.
const (
	perConnection = 16 << 10
	base          = 64 << 20
)

// bounded is how many bytes the bounds of the settings let the process hold in memory, when all are
// reached at once.
func (s Settings) bounded(connections int) int64 {
	waiting := int64(s.WaitingRoomMiB) << 20
	return base + waiting + waiting/gatheredShare + int64(s.LogQueueMiB)<<20 + int64(connections)*perConnection
}

// gatheredShare is which part of the waiting room's bytes bodies may hold that are read before a pod
// is asked for.
const gatheredShare = 4

// checkMemory says when the bounds do not fit into the memory that the container has: then the system
// would end the process before a bound is reached.
func checkMemory(s Settings, connections int, limit int64, log *slog.Logger) {
	if needed := s.bounded(connections); limit > 0 && needed > limit {
		log.Warn("the bounds of the settings need more memory than there is: lower waiting-room-mib, log-queue-mib or max_connections, or give the container more",
			"needed_mib", needed>>20, "limit_mib", limit>>20)
	}
}

// memoryLimit is that of the container in bytes, by its control group; 0 when there is none.
func memoryLimit(read func(name string) ([]byte, error)) int64 {
	const unlimited = 1 << 60 // version 1 says so with a number as large as it has
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < unlimited {
			return n
		}
	}
	return 0
}
