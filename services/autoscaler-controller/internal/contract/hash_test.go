package contract

import (
	"maps"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestDecode_ATargetSaysHowItsPodsAreChosenOverWhatIsSaidForAll(t *testing.T) {
	all := map[string]any{"loadBalancingAlgorithm": "ConsistentHash", "consistentHash": map[string]any{"header": "X-User"}}
	for name, c := range map[string]struct {
		target    map[string]any
		algorithm string
		hash      fleet.HashOn
	}{
		"nothing":       {nil, "ConsistentHash", fleet.HashOn{Header: "X-User"}},
		"the algorithm": {map[string]any{"loadBalancingAlgorithm": "Prequal"}, "Prequal", fleet.HashOn{Header: "X-User"}},
		"the key":       {map[string]any{"consistentHash": map[string]any{"mcpSession": true}}, "ConsistentHash", fleet.HashOn{MCPSession: true}},
	} {
		spec := map[string]any{"targetDeployments": targets(c.target)}
		maps.Copy(spec, all)
		a, err := read(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Targets[0]; got.Algorithm != c.algorithm || got.Hash != c.hash {
			t.Errorf("%s: %s by %+v", name, got.Algorithm, got.Hash)
		}
	}
}

func TestDecode_ExactlyOneKey(t *testing.T) {
	for name, c := range map[string]struct {
		hash map[string]any
		good bool
	}{
		"a header":          {map[string]any{"header": "X"}, true},
		"a cookie":          {map[string]any{"cookie": "session"}, true},
		"a parameter":       {map[string]any{"query": "user"}, true},
		"the client":        {map[string]any{"clientAddress": true}, true},
		"none":              {map[string]any{}, false},
		"false is none":     {map[string]any{"clientAddress": false}, false},
		"two":               {map[string]any{"header": "X", "mcpSession": true}, false},
		"false beside one":  {map[string]any{"header": "X", "mcpSession": false}, true},
		"two, one is false": {map[string]any{"clientAddress": false, "mcpSession": false}, false},
	} {
		for _, place := range []string{"spec", "spec.targetDeployments[0]"} {
			spec := map[string]any{"targetDeployments": targets(map[string]any{"consistentHash": c.hash})}
			if place == "spec" {
				spec = map[string]any{"targetDeployments": targets(nil), "consistentHash": c.hash}
			}
			_, err := read(spec)
			if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), place+".consistentHash: ") {
				t.Errorf("%s in %s: %v", name, place, err)
			}
		}
	}
}

func TestDecode_AnAlgorithmOfALaterVersionIsPassedOn(t *testing.T) {
	a, err := read(map[string]any{"targetDeployments": targets(nil), "loadBalancingAlgorithm": "Later"})
	if err != nil || a.Targets[0].Algorithm != "Later" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestReadSpec_HowPodsAreChosenIsSaidOnceForADeployment(t *testing.T) {
	entry := func(name, prefix string, more map[string]any) map[string]any {
		e := map[string]any{"name": name, "apiPrefix": prefix, "port": "80"}
		maps.Copy(e, more)
		return e
	}
	s, err := read(map[string]any{"loadBalancingAlgorithm": "Random", "targetDeployments": []any{
		entry("app", "/api", nil), entry("other", "/other", nil),
		entry("app", "/ui", map[string]any{"loadBalancingAlgorithm": "ConsistentHash", "consistentHash": map[string]any{"cookie": "c"}}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"ConsistentHash", "Random", "ConsistentHash"} {
		if got := s.Targets[i]; got.Algorithm != want || (got.Hash.Cookie == "c") != (want == "ConsistentHash") {
			t.Errorf("%s: %s by %+v", got.Prefix, got.Algorithm, got.Hash)
		}
	}
}
