// Package lean holds parts of the contracts once more, for a program that must be small: the same types, the client
// of one operation and the server of the sidecar, without the contracts themselves. What reads and checks those,
// which the packages beside this one bring, is a megabyte of a program that uses none of it.
//
// It is for the sidecar. Others take the packages beside it.
package lean
