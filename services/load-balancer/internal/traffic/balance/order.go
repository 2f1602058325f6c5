package balance

import "slices"

// order keeps the open pods sorted by their requests in flight. A request more or less moves a pod by
// one place among equals, so that the least of a thousand is found without looking at all.
type order struct {
	pods  []int32 // by load, the least first
	place []int32 // of each pod in pods; -1: it is not open
	begin []int32 // begin[n] is where those with n requests begin; one more than the highest
}

// rebuild sorts anew.
func (o *order) rebuild(load, open []int32) {
	o.place = slices.Grow(o.place[:0], len(load))[:len(load)]
	for i := range o.place {
		o.place[i] = -1
	}
	o.pods = append(o.pods[:0], open...)
	slices.SortFunc(o.pods, func(a, b int32) int { return int(load[a] - load[b]) })
	o.begin = append(o.begin[:0], 0)
	for at, i := range o.pods {
		o.place[i] = int32(at)
		o.reach(int(load[i]), int32(at))
	}
	o.begin = append(o.begin, int32(len(o.pods))) //nolint:gosec // G115: there are not that many pods
}

// reach makes sure that there is a place where those with n requests begin.
func (o *order) reach(n int, at int32) {
	for len(o.begin) <= n {
		o.begin = append(o.begin, at)
	}
}

// more moves a pod that had n requests before it got one more.
func (o *order) more(i int, n int32) {
	if o.place[i] < 0 {
		return
	}
	o.reach(int(n)+2, int32(len(o.pods))) //nolint:gosec // G115: there are not that many pods
	o.begin[n+1]--
	o.swap(i, o.begin[n+1])
}

// less moves a pod that had n requests before it lost one.
func (o *order) less(i int, n int32) {
	if o.place[i] < 0 {
		return
	}
	o.swap(i, o.begin[n])
	o.begin[n]++
}

func (o *order) swap(i int, to int32) {
	other, from := o.pods[to], o.place[i]
	o.pods[from], o.pods[to] = other, int32(i) //nolint:gosec // G115: there are not that many pods
	o.place[other], o.place[i] = from, to
}

// fewest is a free pod with the fewest requests in flight, -1 when all are full.
func (o *order) fewest(b *Pool, intn Intn) int {
	for from := 0; from < len(o.pods); {
		n := b.load[o.pods[from]]
		end := len(o.pods)
		if int(n)+1 < len(o.begin) {
			end = int(o.begin[n+1])
		}
		equals := o.pods[from:end]
		at := 0
		if len(equals) > 1 {
			at = intn(len(equals))
		}
		for range equals {
			if i := int(equals[at]); b.free(i) {
				return i
			}
			if at++; at == len(equals) {
				at = 0
			}
		}
		from = end
	}
	return -1
}
