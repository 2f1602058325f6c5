package app_test

// pending are the cases of the conformance suite that do not hold yet, by the names of their tests
// behind the first underscore; also the first part of a name. They run with -args -pending.
var pending = []string{}
