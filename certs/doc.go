// Package certs loads the webhook's serving certificate, reloads it when the files
// change, and reports whether the API server can trust it. The API server silently skips
// a webhook that it cannot trust.
//
// The certificate comes from cert-manager or from elsewhere; cert-manager need not be
// installed. Monitor observes, judge decides what is wrong. The package must not import
// cmd, controllers or webhooks.
package certs
