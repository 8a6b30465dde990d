// Package warnings has a benchmark of internal/events: what it costs to read the Warnings
// of many Jobs that fail at once, on a real API server.
package warnings
