package fleet

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// text is a digest as the contract writes it.
func (d Digest) text() string {
	var raw []byte
	for _, n := range d {
		raw = binary.BigEndian.AppendUint64(raw, n)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// digestOf is the digest of routes, added up as the contract says.
func digestOf(buckets int, routes []*Route) Digest {
	d := make(Digest, buckets)
	for _, r := range routes {
		h := uint64(14695981039346656037)
		for _, c := range []byte(r.Namespace + "/" + r.Deployment) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		d[h%uint64(buckets)] ^= r.Hash
	}
	return d
}

func TestParseDigest_TakesTheFourSizesAndNothingElse(t *testing.T) {
	for _, n := range []int{64, 128, 256, 512} {
		want := make(Digest, n)
		for i := range want {
			want[i] = rand.Uint64()
		}
		if got, err := ParseDigest(want.text()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d buckets: %v, %v", n, got, err)
		}
	}
	for name, s := range map[string]string{
		"nothing": "", "too few": make(Digest, 32).text(), "too many": make(Digest, 1024).text(), "not a power of two": make(Digest, 65).text(),
		"not whole digests": base64.RawURLEncoding.EncodeToString(make([]byte, 64*8+1)), "padding": base64.URLEncoding.EncodeToString(make([]byte, 64*8)),
		"the other alphabet": strings.Repeat("+", 683), "bits that mean nothing": strings.Repeat("A", 682) + "B", "a line's end": make(Digest, 64).text()[:682] + "\n",
	} {
		if _, err := ParseDigest(s); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The contract's numbers, which a load balancer has to come to as well.
func TestDigest_ABucketIsAsTheContractSays(t *testing.T) {
	for name, want := range map[string]int{"fib": 448, "shop": 271} {
		if got := make(Digest, 512).bucket(Key{"default", name}); got != want {
			t.Errorf("default/%s: %d", name, got)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	for _, n := range []int{0, 1, 64, 128, 512} {
		f.Add(make(Digest, n).text())
	}
	f.Add(strings.Repeat("-_", 342))
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(s, "\r\n") {
			s = strings.NewReplacer("\r", "", "\n", "").Replace(s) // the decoder reads over them
		}
		if d.text() != s {
			t.Errorf("%q is read as %q", s, d.text())
		}
		u := Update{Complete: true, Routes: []*Route{{Key: Key{"default", s}, Hash: 1}}}
		if lacks := u.Against(d); len(lacks.Buckets) > len(d) || lacks.Complete {
			t.Errorf("got %+v", lacks)
		}
	})
}

// Who holds what an earlier leader said, and takes the answer of the next one, holds what that one has;
// and gets no more than the routes of the buckets that differ.
func TestAgainst_WhatDiffersIsEnough(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		before, after := New("e"), New("f")
		for i := range 200 {
			name := fmt.Sprint("a", i)
			replicas := int32(r.IntN(2))
			if r.IntN(20) > 0 {
				observeApp(before, name, replicas)
			}
			switch r.IntN(20) {
			case 0: // only the earlier one has it
			case 1:
				observeApp(after, name, replicas+1)
			default:
				observeApp(after, name, replicas)
			}
		}
		old, _ := before.Routes("")
		held := map[Key]*Route{}
		for _, route := range old.Routes {
			held[route.Key] = route
		}
		d, err := ParseDigest(digestOf(64<<(seed%4), old.Routes).text())
		if err != nil {
			t.Fatal(err)
		}
		all, _ := after.Routes("")
		lacks := all.Against(d)
		listed := map[Key]bool{}
		for _, route := range lacks.Routes {
			listed[route.Key], held[route.Key] = true, route
		}
		for k := range held {
			if slices.Contains(lacks.Buckets, int32(d.bucket(k))) && !listed[k] {
				delete(held, k)
			}
		}
		if lacks.Complete || len(lacks.Routes) == len(all.Routes) || len(held) != len(all.Routes) {
			t.Fatalf("seed %d: %d of %d routes told, %d are held", seed, len(lacks.Routes), len(all.Routes), len(held))
		}
		for _, route := range all.Routes {
			if held[route.Key].Hash != route.Hash || held[route.Key].State != route.State {
				t.Errorf("seed %d: of %s is held %+v, and there is %+v", seed, route.Key, held[route.Key], route)
			}
		}
	}
}

func TestAgainst_WhoHoldsEverythingIsToldNoRoute(t *testing.T) {
	before, after := New("e"), New("f")
	for _, f := range []*Fleet{before, after} {
		observeApp(f, "a", 1)
		observeApp(f, "b", 0)
		f.Configure(BalancerSettings{Policy: "random"})
	}
	old, _ := before.Routes("")
	all, _ := after.Routes(old.Version)
	lacks := all.Against(digestOf(64, old.Routes))
	if !lacks.News() || lacks.Complete || lacks.Buckets == nil || len(lacks.Buckets)+len(lacks.Routes)+len(lacks.Removed) != 0 {
		t.Errorf("got %+v", lacks)
	}
	if lacks.Version != all.Version || lacks.Settings == nil || lacks.Balancers == nil {
		t.Errorf("the version, the settings or the load balancers are missing: %+v", lacks)
	}
}
