package identity

import (
	"fmt"
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
