// Package e2e tells the stories of people who use Job Handler, on a real
// cluster of one node, with real containers and the manager's program as it is
// shipped. It asserts what these people see: Jobs, results, Events, and that
// nothing gets in their way. What the rules decide in rare cases is tested
// where the rules are.
//
// The stories run at the same time, each in a namespace of its own, so that
// the whole takes little longer than the longest of them. Those that need the
// manager to be away share one time in which it is.
package e2e
