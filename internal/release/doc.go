// Package release takes back from a cluster what Job Handler, once it is
// stopped, would leave acting there: the finalizer and the raised TTL on Jobs,
// and what it wrote on Namespaces. Results stay, and so do the marks on Jobs
// that act on nothing without it: the label enabled, and the annotations
// results-name, status and capture. It decides by the rules of package plan and
// must not import controllers or webhooks.
package release
