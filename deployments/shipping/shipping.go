// Package shipping holds the tests that keep together what must fit when a release goes out, although
// it stands in files that know nothing of each other: one version in all of them, and a job in the
// pipeline for each module and each service.
package shipping
