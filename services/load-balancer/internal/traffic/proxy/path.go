package proxy

// stripped tells whether the pod gets the path without the application's prefix.
func (x *exchange) stripped() bool {
	return x.match.Prefix != "" && x.match.Target.Route().StripPrefix
}

// podPath is the path that the pod is asked for. A client's arrives as it was sent, byte for byte;
// an order's was normalised when it was made.
func (x *exchange) podPath() string {
	switch {
	case x.match.Prefix != "" && !x.stripped():
		return x.r.Path
	case x.call:
		return x.match.Path
	}
	return x.match.Raw
}
