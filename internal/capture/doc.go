// Package capture keeps pods that are deleted before their Job has ended: the last
// state of the pod, and its logs, which it follows from their beginning to their end
// while the pod still exists. It also keeps the logs of restarted containers, each
// read when its end is seen. Everything is in memory, within limits on log text,
// open streams and pods.
//
// It decides neither which pods to capture nor what happens to a Job, and must not
// import controllers.
package capture
