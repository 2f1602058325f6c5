package balance

import (
	"math"
	"math/bits"
	"time"
)

// How paces are learned.
const (
	paceMemory   = 64 // answers
	paceFirst    = 8  // the first answers count as much as if there had been so many
	failedMemory = 8  // a failure counts as much as several answers
	paceMost     = 64 // times the usual
	levelCount   = 12
)

// usual is how long answers take, over all pods, by the requests that are in flight at the pod: 1,
// 2-3, 4-7, and so on. The logarithms are averaged: costs have heavy tails, and one request that
// takes a hundred times as long must not make its pod a slow one.
type usual struct {
	mean  [levelCount]float64 // logarithms of milliseconds
	count [levelCount]float64
}

func levelOf(inFlight int32) int { return min(bits.Len32(uint32(max(inFlight, 1)))-1, levelCount-1) }

// compare takes an answer, and returns the logarithm of how it compares with others of its level.
func (u *usual) compare(s sample) float64 {
	const least = 1e-3 // of a millisecond
	at, took := levelOf(s.level), math.Log(max(milliseconds(s.took), least))
	if u.count[at] == 0 {
		u.mean[at] = took
	}
	u.count[at] = min(u.count[at]+1, paceMemory)
	excess := took - u.mean[at]
	if !s.failed {
		u.mean[at] += excess / u.count[at]
	}
	return excess
}

// pace is how much longer than usual a pod takes, with as many requests in flight: because it is
// slower, or because others send to it too.
type pace struct {
	log    float64
	count  float64
	factor float32 // e to the power of log
	at     int64   // UnixNano of the last answer
}

func (p *pace) observe(excess float64, failed bool, now int64) {
	p.count = min(p.count+1, paceMemory)
	memory := max(p.count, paceFirst)
	if failed {
		memory = failedMemory
	}
	p.log += (excess - p.log) / memory
	most := math.Log(paceMost)
	p.log = min(max(p.log, -most), most)
	p.factor, p.at = float32(math.Exp(p.log)), now
}

// read is the factor now. A slow pod that is asked no more is thought better of with the seconds, so
// that it is asked again.
func (p *pace) read(now int64) float32 {
	if p.factor == 0 {
		return 1
	}
	if age := now - p.at; age > int64(time.Second) && p.factor > 1 {
		return 1 + (p.factor-1)*float32(time.Second)/float32(age)
	}
	return p.factor
}
