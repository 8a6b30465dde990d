// Package harness measures Job Handler on a real control plane, as its own
// process with the rights that it is installed with, side by side with what
// people would use instead. It plays the kubelet, and sets the status of Jobs and
// pods itself, so that what is measured is the manager and the API server.
//
// It must not import controllers or certs, and of webhooks the paths alone: what it
// measures is the program.
package harness
