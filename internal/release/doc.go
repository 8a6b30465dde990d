// Package release undoes what would still act in a cluster after Job Handler is
// stopped: the finalizer and the raised TTL on Jobs, and what it wrote on
// Namespaces. Results stay, and so do the marks that have no effect without the
// manager: the label enabled, and the annotations results-name, status and capture.
// It decides by the rules of package plan and must not import controllers or
// webhooks.
package release
