package controller

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// The contract's numbers, which the controller has to come to as well.
func TestBucket_IsAsTheContractSays(t *testing.T) {
	for name, want := range map[string]int{"fib": 448, "shop": 271} {
		if got := bucket(routing.Application{Namespace: "default", Deployment: name}, 512); got != want {
			t.Errorf("default/%s: %d", name, got)
		}
	}
}

// leader is a controller's side of it, told by the contract alone.
type leader struct {
	epoch  string
	n      int
	routes map[string]uint64 // hash by deployment
}

func (l *leader) version() string { return fmt.Sprintf("%s.%d", l.epoch, l.n) }

func (l *leader) all() autoscaler.RoutesUpdate {
	u := everything(l.version())
	for name, sum := range l.routes {
		u.Applications = append(u.Applications, said(name, "Awake", sum))
	}
	return u
}

// against answers who holds what the digest says.
func (l *leader) against(have string, buckets int) autoscaler.RoutesUpdate {
	mine := newSource()
	for name, sum := range l.routes {
		mine.hold(routing.Application{Namespace: "default", Deployment: name}, sum, false)
	}
	u := changed(l.version())
	u.Buckets = &[]int32{}
	digests := func(have string) [][]byte {
		raw, _ := base64.RawURLEncoding.DecodeString(have)
		return slices.Collect(slices.Chunk(raw, 8))
	}
	theirs, ours := digests(have), digests(mine.have(buckets))
	for b := range ours {
		if !bytes.Equal(theirs[b], ours[b]) {
			*u.Buckets = append(*u.Buckets, int32(b))
		}
	}
	for name, sum := range l.routes {
		b := bucket(routing.Application{Namespace: "default", Deployment: name}, buckets)
		if !bytes.Equal(theirs[b], ours[b]) {
			u.Applications = append(u.Applications, said(name, "Awake", sum))
		}
	}
	return u
}

// change makes one route another one, makes one, or removes it, and says so.
func (l *leader) change(r *rand.Rand) autoscaler.RoutesUpdate {
	l.n++
	number := r.IntN(300)
	name := fmt.Sprint("a", number)
	if l.routes[name] != 0 && r.IntN(3) == 0 {
		delete(l.routes, name)
		return autoscaler.RoutesUpdate{Version: l.version(), Removed: []autoscaler.ApplicationKey{{Namespace: "default", Deployment: name}}}
	}
	l.routes[name] = 1 + uint64(r.IntN(3)) + 1<<32*uint64(1+number*number) // the same of no other route
	return changed(l.version(), said(name, "Awake", l.routes[name]))
}

func inTwoParts(t *testing.T, u autoscaler.RoutesUpdate, buckets int) *change {
	t.Helper()
	c, all := &change{buckets: buckets}, u.Applications
	for i := range 2 {
		u.Applications = all[i*len(all)/2 : (i+1)*len(all)/2]
		if err := c.add(&u); err != nil {
			t.Fatal(err)
		}
		u.Removed = nil
	}
	return c
}

// Whatever becomes of the leader, what is handed on adds up to what it has.
func TestSource_WhatIsHandedOnAddsUp(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		l := &leader{epoch: "e", routes: map[string]uint64{}}
		s, table := newSource(), map[string]uint64{}
		for range 400 {
			params, buckets := s.ask()
			var u autoscaler.RoutesUpdate
			switch known := params.After != nil && strings.HasPrefix(*params.After, l.epoch+"."); {
			case known:
				u = l.change(r)
			case params.Have != nil && r.IntN(5) > 0:
				u = l.against(*params.Have, buckets)
			default:
				u = l.all()
			}
			update := s.take(inTwoParts(t, u, buckets))
			for _, app := range update.Removed {
				delete(table, app.Deployment)
			}
			for i := range update.Routes {
				table[update.Routes[i].Application.Deployment] = s.hashes[update.Routes[i].Application]
			}
			if !maps.Equal(table, l.routes) || s.version != l.version() || s.unknown != 0 {
				t.Fatalf("seed %d: %d are handed on of %d", seed, len(table), len(l.routes))
			}
			if r.IntN(10) == 0 { // another one leads, which sees a little otherwise
				l = &leader{epoch: l.epoch + "x", routes: maps.Clone(l.routes)}
				for range r.IntN(4) {
					l.change(r)
				}
			}
		}
		again := newSource()
		for app, sum := range s.hashes {
			again.hold(app, sum, false)
		}
		if again.digest != s.digest {
			t.Errorf("seed %d: the digest is not the sum of what is held", seed)
		}
	}
}

func TestSource_AsksWithADigestThatFits(t *testing.T) {
	s := newSource()
	if params, buckets := s.ask(); params.Have != nil || buckets != 0 {
		t.Errorf("who holds nothing asks with %+v", params)
	}
	for _, c := range []struct{ routes, buckets, length int }{{1, 64, 683}, {1024, 64, 683}, {1025, 128, 1366}, {3000, 256, 2731}, {10000, 512, 5462}} {
		for i := len(s.hashes); i < c.routes; i++ {
			s.hold(routing.Application{Deployment: fmt.Sprint(i)}, rand.Uint64(), false)
		}
		if params, buckets := s.ask(); buckets != c.buckets || len(*params.Have) != c.length {
			t.Errorf("%d routes: %d buckets, %d bytes", c.routes, buckets, len(*params.Have))
		}
	}
	s.hold(routing.Application{Deployment: "old"}, 0, false)
	if params, _ := s.ask(); params.Have != nil {
		t.Error("a digest of what has no hash")
	}
	s.hold(routing.Application{Deployment: "old"}, 0, true)
	if params, _ := s.ask(); params.Have == nil {
		t.Error("no digest, although what had no hash has gone")
	}
}

func TestLines_ReadsLineByLineUpToItsBound(t *testing.T) {
	text := `{"version":"e.1"}` + "\n\n" + `{"version":"` + strings.Repeat("x", 100<<10) + `"}` + "\r\n" + `{"version":"e.3"}` + "\n"
	for name, from := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
		l := newLines(from)
		var versions []int
		for {
			u, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, len(u.Version))
		}
		if fmt.Sprint(versions) != "[3 102400 3]" {
			t.Errorf("%s: %v", name, versions)
		}
	}
	l := newLines(strings.NewReader(text))
	l.most = 50 << 10
	if _, err := l.next(); err != nil {
		t.Error(err)
	}
	if _, err := l.next(); !errors.Is(err, errLine) {
		t.Errorf("a line that is too long: %v", err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"version":"e.1","complete":true,"applications":[{"namespace":"a","deployment":"b","hash":"00000000000000ff"}],"removed":[]}` + "\n"))
	f.Add([]byte(`{"version":"e.1","continued":true,"applications":[]}` + "\n" + `{"version":"e.1","buckets":[0,63],"removed":[{"namespace":"a","deployment":"b"}]}` + "\n"))
	f.Add([]byte("\n\n{}\n{\"version\":"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, s, c := newLines(iotest.HalfReader(bytes.NewReader(text))), newSource(), change{buckets: 64}
		l.most = 1 << 16
		for range bytes.Count(text, []byte("\n")) + 1 {
			u, err := l.next()
			if err != nil {
				return
			}
			if c.add(u) != nil {
				return
			}
			if !value(u.Continued) {
				update := s.take(&c)
				if len(update.Routes) > len(c.routes) || s.unknown < 0 || s.unknown > len(s.hashes) {
					t.Fatalf("%d held, %d without a hash", len(s.hashes), s.unknown)
				}
				c = change{buckets: 64}
			}
		}
		t.Fatal("there are more lines than line ends")
	})
}

func TestOneLine_AnAnswerMayBeWrittenOnManyLines(t *testing.T) {
	u := everything("e.1", said("a", "Awake", 1))
	text, err := json.MarshalIndent(u, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	l := newLines(oneLine(text))
	if got, err := l.next(); err != nil || got.Version != "e.1" || len(got.Applications) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := l.next(); !errors.Is(err, io.EOF) {
		t.Errorf("more: %v", err)
	}
}
