package contract

import (
	"encoding/json"
	"fmt"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// ClaimRule is a rule of a ClaimPolicy.
type ClaimRule struct {
	Hosts, Prefixes []string
	All             bool     // every namespace
	Names           []string // of namespaces
	Selector        *Selector
}

// Selector chooses namespaces by their labels.
type Selector struct {
	Labels      map[string]string
	Expressions []Expression
}

// Expression is one demand of a Selector, in Kubernetes' words.
type Expression struct {
	Key, Operator string
	Values        []string
}

// ReadClaimRules reads the rules of a ClaimPolicy. One whose namespaces are chosen in a way that is not known
// here is given to nobody.
func ReadClaimRules(object map[string]any) ([]ClaimRule, error) {
	var spec autoscaler.ClaimPolicySpec
	raw, err := json.Marshal(object["spec"])
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	rules := make([]ClaimRule, len(spec.Rules))
	for i, r := range spec.Rules {
		rules[i] = ClaimRule{Hosts: value(r.Hosts, nil), Prefixes: value(r.Prefixes, nil)}
		switch r.From.Namespaces {
		case autoscaler.ClaimsFromAll:
			rules[i].All = true
		case autoscaler.ClaimsFromNames:
			rules[i].Names = value(r.From.Names, nil)
		case autoscaler.ClaimsFromSelector:
			rules[i].Selector = selector(value(r.From.Selector, autoscaler.NamespaceSelector{}))
		}
	}
	return rules, nil
}

func selector(s autoscaler.NamespaceSelector) *Selector {
	out := &Selector{Labels: value(s.MatchLabels, nil)}
	for _, e := range value(s.MatchExpressions, nil) {
		out.Expressions = append(out.Expressions, Expression{Key: e.Key, Operator: string(e.Operator), Values: value(e.Values, nil)})
	}
	return out
}
