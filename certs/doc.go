// Package certs loads the webhook's serving certificate, loads it again when the
// files change, and reports whether the API server can trust it. The API server
// skips a webhook that it cannot trust, without a word.
//
// The certificate comes from cert-manager or from elsewhere; cert-manager need not
// be installed. Monitor observes, judge decides what is wrong. The package must not
// import cmd, controllers or webhooks.
package certs
