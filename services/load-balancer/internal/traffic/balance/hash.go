package balance

import (
	"encoding/binary"
	"math/bits"
)

// Hash is the same at every load balancer, and never 0.
func Hash[T string | []byte](s T) uint64 {
	const first, second = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	h := uint64(len(s)) ^ first
	for len(s) >= 8 {
		h = mix(h^word(s), second)
		s = s[8:]
	}
	var rest [8]byte
	copy(rest[:], s)
	h = mix(h^binary.LittleEndian.Uint64(rest[:]), first)
	return max(mix(h, second), 1)
}

func word[T string | []byte](s T) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// mix multiplies, and folds the 128 bits of the product.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// weight is how much a pod wants a key (rendezvous hashing): the pod that wants it most has it. When
// a pod leaves only its keys move, and one that joins takes its share of each.
func weight(key, id uint64) uint64 { return mix(key^id, 0xa0761d6478bd642f) }
