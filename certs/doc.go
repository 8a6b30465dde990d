// Package certs looks after the certificate with which the webhook server
// answers: it loads the files and loads them again when they change, and says
// whether the API server can trust what is served, since a webhook that it
// cannot trust is left out silently.
//
// The certificate comes from cert-manager's Certificate, or from elsewhere;
// cert-manager need not be installed. judge decides what is wrong, from what
// Monitor observed. The package must import neither controllers nor webhooks.
package certs
