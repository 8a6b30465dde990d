// Package logtext holds the text of logs within bounds: a Buffer that keeps a
// log whole or its head and tail, with exact counts of what it left out; the
// readable form of bytes that may hold anything; and the fair division of a
// budget between logs. It is pure, knows nothing of Kubernetes and imports the
// standard library only.
package logtext
