package access

// Verdict is what is decided of a call.
type Verdict int

// The verdicts.
const (
	// Refused is a caller who may not, whatever rights people gave it.
	Refused Verdict = iota
	// Allowed may go on, everywhere.
	Allowed
	// Unknown is a caller without a token where one is asked for.
	Unknown
	// Asked is one of whom the API server is to be asked.
	Asked
)

// Decision is what was decided, and why.
type Decision struct {
	Verdict Verdict
	// Reason is why a caller is refused, or unknown, in words for it.
	Reason string
	// Right is what is to be asked for, and Namespace where; "" is everywhere.
	Right     Right
	Namespace string
	// Narrows tells that who has not the right everywhere may see the namespaces in which it has.
	Narrows bool
}

// Decide says whether a caller may call an operation by its rule. namespace is the one that the call names; "" is none.
// optional lets callers without a token as before there were any.
func Decide(rule Rule, c *Caller, namespace string, optional bool) Decision {
	switch {
	case rule.Open, rule.Passed:
		return Decision{Verdict: Allowed}
	case c.Kind == Unnamed && optional && !rule.betweenReplicas(): // 0.1.0 had no changes to tell: who has no token makes up none
		return Decision{Verdict: Allowed}
	case c.Kind == Unnamed:
		return Decision{Verdict: Unknown, Reason: "this is for " + rule.For() + ": " + SendToken}
	case c.Kind == Service:
		return decideService(rule, c)
	case rule.People == nil:
		return Decision{Reason: "this is for " + rule.For() + ", who are known by a token of their service account for the audience nemesis; " + c.Name + " has another token"}
	}
	d := Decision{Verdict: Asked, Right: *rule.People}
	if rule.Where != Everywhere {
		d.Namespace = namespace
	}
	d.Narrows = rule.Where == Shown && namespace == ""
	return d
}

// SendToken says how a token is sent.
const SendToken = "send a token in the header Authorization (or Nemesis-Authorization, where that one does not get through), as: Bearer TOKEN" //nolint:gosec // G101: it is how one is sent, and none

func decideService(rule Rule, c *Caller) Decision {
	if rule.Balancers && c.Balancer || rule.Collectors && c.Collector || rule.Controllers && c.Controller || rule.Pods && c.Pod != "" {
		return Decision{Verdict: Allowed}
	}
	why := "this is for " + rule.For() + "; " + c.Name + " is " + c.what()
	if rule.People != nil {
		why += ", and a token for the audience nemesis says nothing of what people may: they send one for the Kubernetes API server"
	}
	return Decision{Reason: why}
}

// what a service is, in words.
func (c *Caller) what() string {
	switch {
	case c.Balancer:
		return "a load balancer"
	case c.Collector:
		return "a collector"
	case c.Controller:
		return "a controller"
	case c.Pod != "":
		return "the pod " + c.Pod
	}
	return "a service account whose token is of no pod"
}

// OtherNode is the refusal of a collector that says what a pod of another node uses.
func OtherNode(own string) string {
	return "the collector is on the node " + own + ", and may say what pods of that node use"
}

// Lacks is the refusal of who has not a right, in words.
func Lacks(c *Caller, right Right, namespace string) string {
	return c.Name + " may not " + right.In(namespace)
}
