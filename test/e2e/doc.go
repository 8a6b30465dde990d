// Package e2e tests Job Handler as its users see it: on a real cluster of one node,
// with real containers and the program as it is shipped. The tests, called stories,
// assert on Jobs, results and Events. Rare cases of rules are tested beside the
// rules.
//
// Stories run at the same time, each in its own namespace, so that the whole takes
// little longer than the longest of them. Stories that need the manager to be away
// share one period without it.
package e2e
