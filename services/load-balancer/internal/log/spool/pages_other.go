//go:build !linux

package spool

import "os"

// forget is for a page cache that takes advice; this one has none that we know of.
func forget(*os.File) {}
