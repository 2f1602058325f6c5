package routing

// builder makes one table after another; each has in common with the one before what is the same.
type builder[T comparable] struct {
	hosts   *editor[*prefixes[T]]
	byHost  map[string]*prefixEditor[T]
	anyHost *prefixEditor[T]
	changed map[string]*prefixEditor[T] // of byHost, since the last table
}

func newBuilder[T comparable]() *builder[T] {
	return &builder[T]{
		hosts: newEditor[*prefixes[T]](), byHost: map[string]*prefixEditor[T]{}, anyHost: newPrefixEditor[T](), changed: map[string]*prefixEditor[T]{},
	}
}

// spot is a place in a table.
type spot struct {
	host   string // canonical
	every  bool   // every host, and host is ""
	prefix string // trimmed
}

// spots are those that an entry claims.
func (e *Entry[T]) spots() []spot {
	prefix := trimPrefix(e.Prefix)
	if len(e.Hosts) == 0 {
		return []spot{{every: true, prefix: prefix}}
	}
	list := make([]spot, len(e.Hosts))
	for i, h := range e.Hosts {
		list[i] = spot{host: canonicalHost(h), prefix: prefix}
	}
	return list
}

// at is where the prefixes of the spot's host are, made when there are none.
func (b *builder[T]) at(s spot) *prefixEditor[T] {
	if s.every {
		return b.anyHost
	}
	p, ok := b.byHost[s.host]
	if !ok {
		p = newPrefixEditor[T]()
		b.byHost[s.host] = p
	}
	b.changed[s.host] = p
	return p
}

func (b *builder[T]) set(s spot, target T) { b.at(s).set(s.prefix, target) }
func (b *builder[T]) clear(s spot)         { b.at(s).clear(s.prefix) }

func (b *builder[T]) table() *Table[T] {
	for host, p := range b.changed {
		if p.entries.n == 0 {
			delete(b.byHost, host)
			b.hosts.drop(host)
			continue
		}
		b.hosts.put(host, p.freeze())
	}
	clear(b.changed)
	return &Table[T]{hosts: b.hosts.freeze(), anyHost: b.anyHost.freeze()}
}

// prefixEditor makes the prefixes of one host.
type prefixEditor[T comparable] struct {
	entries *editor[T]
	lengths map[int]int // how many prefixes have this length
	longest int
}

func newPrefixEditor[T comparable]() *prefixEditor[T] {
	return &prefixEditor[T]{entries: newEditor[T](), lengths: map[int]int{}}
}

func (p *prefixEditor[T]) set(prefix string, target T) {
	if _, known := p.entries.get(prefix); !known {
		p.lengths[len(prefix)]++
		p.longest = max(p.longest, len(prefix))
	}
	p.entries.put(prefix, target)
}

func (p *prefixEditor[T]) clear(prefix string) {
	if _, known := p.entries.get(prefix); !known {
		return
	}
	p.entries.drop(prefix)
	if p.lengths[len(prefix)]--; p.lengths[len(prefix)] > 0 {
		return
	}
	delete(p.lengths, len(prefix))
	p.longest = 0
	for n := range p.lengths {
		p.longest = max(p.longest, n)
	}
}

func (p *prefixEditor[T]) freeze() *prefixes[T] {
	return &prefixes[T]{byPrefix: p.entries.freeze(), longest: p.longest}
}
