package cluster

import "unique"

// share is the one copy that all have of a text that comes again and again: a namespace, a node, a revision.
func share(s string) string { return unique.Make(s).Value() }
