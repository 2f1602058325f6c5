package identity

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Sidecars push one after the other, each every few seconds, and there may be some more of them than are remembered.
func TestVerify_WhereMoreComeInTurnThanAreRememberedThoseWhoAreStayKnown(t *testing.T) {
	const known, more = 20, 2
	key, a, now := newSigner(t, "one", jose.ES256), &authority{}, &clock{}
	a.publish(nil, key)
	counts := map[Outcome]int{}
	v := verifier(t, a, now, func(o *Options) { o.Known, o.Judged = known, func(outcome Outcome) { counts[outcome]++ } })
	tokens := make([]string, known+more)
	for i := range tokens {
		tokens[i] = key.token(t, set("jti", fmt.Sprint(i)))
	}
	round := func() {
		t.Helper()
		clear(counts)
		for _, token := range tokens {
			now.pass(100 * time.Millisecond)
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	for range 3 {
		if round(); counts[Known] != known || counts[Verified] != more {
			t.Errorf("%v", counts)
		}
	}
	now.pass(inUse) // half of them have gone, or have another token
	tokens = tokens[known/2:]
	round()
	if round(); counts[Known] != len(tokens) {
		t.Errorf("who came later finds no place though others have left: %v", counts)
	}
}

// What is remembered of a token is whose it was said to be.
func TestVerify_OneThatIsRememberedIsWhoItWas(t *testing.T) {
	key, a, now := newSigner(t, "one", jose.ES256), &authority{}, &clock{}
	a.publish(nil, key)
	v := verifier(t, a, now, nil)
	token := key.token(t, nil)
	first, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.Verify(t.Context(), token)
	if again.Expires = again.Expires.UTC(); err != nil || first.Pod == "" || first.Node == "" || first.PodUID == "" || first.Account == "" {
		t.Fatalf("%+v, %v", again, err)
	}
	if first.Expires = first.Expires.UTC(); first != again {
		t.Errorf("%+v became %+v", first, again)
	}
}

// Of those that are no more good one makes place at once, also for tokens that come as often.
func TestVerify_ExpiredOnesMakePlace(t *testing.T) {
	const known = 8 // no more than are looked at
	key, a, now := newSigner(t, "one", jose.ES256), &authority{}, &clock{}
	a.publish(nil, key)
	v := verifier(t, a, now, func(o *Options) { o.Known = known })
	for i := range known {
		v.remember(sha256.Sum256([]byte{byte(i)}), Identity{Name: "a", Expires: now.now().Add(time.Duration(i+1) * time.Second)}, now.now())
	}
	add := func(name byte) bool {
		sum := sha256.Sum256([]byte{name})
		v.remember(sum, Identity{Name: "b", Expires: now.now().Add(time.Hour)}, now.now())
		_, remembered := v.remembered(sum, now.now())
		return remembered
	}
	if add('x') {
		t.Error("it took the place of one that is in use")
	}
	now.pass(time.Second)
	if !add('x') || add('y') || len(v.known) != known {
		t.Errorf("one had expired, and %d are remembered", len(v.known))
	}
}

// What a token takes that is remembered, with those of many pods of one account.
func BenchmarkKnown(b *testing.B) {
	const pods = 100_000
	for b.Loop() {
		v := NewVerifier(Options{Known: pods})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range pods {
			v.remember(sha256.Sum256(fmt.Append(nil, i)), Identity{
				Name: "system:serviceaccount:team:default", Namespace: "team", Account: "default", Node: "node-1",
				Pod: fmt.Sprintf("web-7d4b9c5f6b-%05d", i), PodUID: fmt.Sprintf("0f8fad5b-d9cb-469f-a165-7086%08d", i), Expires: time.Now().Add(time.Hour),
			}, time.Now())
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/pods, "B/token")
		runtime.KeepAlive(v)
	}
}
