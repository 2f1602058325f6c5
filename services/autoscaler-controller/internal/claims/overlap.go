package claims

// Between namespaces an address is refused, unless a policy grants it, when it
//
//   - has paths in common with what an older object has for the same host, or, both without a host, for every
//     host: it is the same prefix, a longer or a shorter one;
//   - names a host, and has paths in common with what an older object has for every host: requests that name
//     the host would go to it. (The other way round nothing is taken away: hosts by name come first.)
//   - lies, for every host, below the name of a namespace that asks for something that overlaps it there, of
//     whatever age.
//
// What a namespace asks for below its own name, for every host, is never refused for another namespace's
// sake; for a host by name it is only for that of one who has the same host. The prefix "/" and what lies
// below a namespace's name do not concern each other where both are for every host.

// held finds who keeps an object from an address that no policy grants; nil: nobody.
func (x *Index) held(e *entry, a address) *entry {
	home := a.isOf(e.Namespace)
	if a.host != "" {
		if by := x.older(e, a, ofHost); by != nil || home {
			return by
		}
		if by := x.older(e, a, ofAny); by != nil {
			return by
		}
		return x.older(e, a, ofHome)
	}
	if home {
		return nil
	}
	for list := range x.register.meeting(a, asked) {
		for _, h := range list {
			if h.of.Namespace == firstSegment(a.prefix) && meet(h.prefix, a.prefix) {
				return h.of
			}
		}
	}
	return x.older(e, a, ofAny)
}

// older finds an older claim of another namespace that has an address of a kind which overlaps one.
func (x *Index) older(e *entry, a address, k kind) *entry {
	for list := range x.register.meeting(a, k) {
		for _, h := range list {
			if !h.of.before(e) {
				break
			}
			if h.of.Namespace != e.Namespace && meet(h.prefix, a.prefix) {
				return h.of
			}
		}
	}
	return nil
}

// younger calls a function with each younger entry of another namespace that has an address of a kind
// which overlaps one.
func (x *Index) younger(e *entry, a address, k kind, do func(*entry)) {
	for list := range x.register.meeting(a, k) {
		for i := len(list) - 1; i >= 0 && e.before(list[i].of); i-- {
			if h := list[i]; h.of.Namespace != e.Namespace && meet(h.prefix, a.prefix) {
				do(h.of)
			}
		}
	}
}

// losers calls a function with each object that may lose something now that another one has an address.
func (x *Index) losers(h *holding, do func(*entry)) {
	switch {
	case h.host != "":
		x.younger(h.of, h.address, ofHost, do)
	case h.isOf(h.of.Namespace):
		x.younger(h.of, h.address, ofNamed, do)
	default:
		x.younger(h.of, h.address, ofAny, do)
		x.younger(h.of, h.address, ofNamed, do)
	}
}

// strangers calls a function with each object that has something which overlaps what a namespace asks for
// below its own name.
func (x *Index) strangers(h *holding, do func(*entry)) {
	for list := range x.register.meeting(h.address, ofAny) {
		for _, other := range list {
			if other.of.Namespace != h.of.Namespace && other.isOf(h.of.Namespace) && meet(other.prefix, h.prefix) {
				do(other.of)
			}
		}
	}
}

// exact finds the oldest of those who have the very address.
func (x *Index) exact(a address) *entry {
	kinds := []kind{ofAny, ofHome}
	if a.host != "" {
		kinds = []kind{ofHost}
	}
	var first *entry
	for _, k := range kinds {
		for _, h := range x.register[a.at(k)] {
			if h.prefix == a.prefix && (first == nil || h.of.before(first)) {
				first = h.of
				break
			}
		}
	}
	return first
}
