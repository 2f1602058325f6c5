package fleet

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Digest is what a load balancer holds, in short: for each bucket of applications the XOR of the hashes
// of their routes. Its length is a power of two.
type Digest []uint64

// The numbers of buckets that a digest may have.
const (
	leastBuckets = 64
	mostBuckets  = 512
)

// ErrDigest is a digest of no kind.
var ErrDigest = errors.New("64, 128, 256 or 512 digests of 8 bytes each, in base64url without padding")

// ParseDigest reads a digest, as the contract writes it.
func ParseDigest(s string) (Digest, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	n := len(raw) / 8
	if err != nil || len(raw)%8 != 0 || n < leastBuckets || n > mostBuckets || n&(n-1) != 0 {
		return nil, ErrDigest
	}
	d := make(Digest, n)
	for i := range d {
		d[i] = binary.BigEndian.Uint64(raw[8*i:])
	}
	return d, nil
}

// bucket is the bucket of an application.
func (d Digest) bucket(k Key) int {
	h := sum(fnvOffset)
	h.bytes(k.Namespace)
	h.bytes("/")
	h.bytes(k.Deployment)
	return int(uint64(h) & uint64(len(d)-1)) //nolint:gosec // less than len(d)
}

// Against is what somebody lacks who holds what the digest says. The update must be a complete one.
func (u Update) Against(held Digest) Update {
	differs := append(Digest(nil), held...)
	buckets := make([]int, len(u.Routes))
	for i, r := range u.Routes {
		buckets[i] = held.bucket(r.Key)
		differs[buckets[i]] ^= r.Hash
	}
	lacks := u
	lacks.Complete, lacks.Routes, lacks.Buckets = false, []*Route{}, []int32{}
	for b, d := range differs {
		if d != 0 {
			lacks.Buckets = append(lacks.Buckets, int32(b))
		}
	}
	for i, r := range u.Routes {
		if differs[buckets[i]] != 0 {
			lacks.Routes = append(lacks.Routes, r)
		}
	}
	return lacks
}
