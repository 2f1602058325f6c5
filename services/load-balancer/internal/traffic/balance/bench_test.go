package balance

import (
	"strconv"
	"testing"
	"time"
)

// settled is a pool in which every pod has answered, with a few requests in flight at each.
func settled(tb testing.TB, name string, n int) *Pool {
	tb.Helper()
	b, pods := made(tb, name, n)
	r := seeded()
	for i, p := range pods {
		for range r.IntN(8) {
			p.Answered(Good, time.Duration(1+i%7)*time.Millisecond, p.Sent(), began)
		}
	}
	return b
}

func BenchmarkPick(b *testing.B) {
	for _, name := range Names() {
		for _, n := range []int{16, 1000} {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				pool := settled(b, name, n)
				now := time.Unix(1001, 0)
				b.ReportAllocs()
				key := uint64(1)
				for b.Loop() {
					key = mix(key, 0x9e3779b97f4a7c15)
					p, _, _ := pool.Pick(Request{Key: key | 1}, now)
					p.Sent()
					p.Released()
				}
			})
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			pool := settled(b, name, 16)
			now := time.Unix(1001, 0)
			b.ReportAllocs()
			for b.Loop() {
				p, _, _ := pool.Pick(Request{Key: 77}, now)
				level := p.Sent()
				p.Answered(Good, time.Millisecond, level, now)
				p.Released()
			}
		})
	}
}
