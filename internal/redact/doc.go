// Package redact replaces credentials in text: well-known forms by a built-in
// set of rules, and what an operator's patterns match. It works on streams in
// bounded memory, whatever pieces they come in, never changes the number of
// lines, and counts by rule what it replaced. It is pure: it keeps nothing of
// what it replaced, and knows nothing of Kubernetes.
package redact
