// Package metrics defines every metric of Job Handler with the values of its labels.
// No other package imports a metrics library. It decides nothing: its callers report
// what happened. It must not import controllers or webhooks.
package metrics
