// Package resultsview reads results objects, for the plugin and for tests: whether
// one is whole, what it says about its run, and the log of every container, to the
// byte. It hides how package results stores them. It prints nothing, is pure, and
// must not import a client.
package resultsview
