// Package harness measures Job Handler on a real control plane, as a process of its
// own with its installed rights, side by side with the alternatives that users have.
// It plays the kubelet and sets the status of Jobs and pods, so that it measures the
// manager and the API server only.
//
// It must not import cmd, controllers or certs, and of webhooks it uses the paths
// only, since it measures the program.
package harness
