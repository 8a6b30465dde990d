// Package metrics defines every metric of Job Handler with the values of its labels.
// No other package imports a metrics library. It decides nothing: its callers report
// what happened, in the words of the package that decides it (policy, plan, results,
// apierr, retain, capture, selftest). To count never fails. The package must not import
// controllers or webhooks.
package metrics
