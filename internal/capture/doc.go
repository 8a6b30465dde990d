// Package capture keeps what is left of pods that are deleted before their Job
// has ended: the pod as it was last seen, and its logs, which are followed from
// their beginning to their end while the pod has time to end. And it keeps the logs
// of containers that are started again, each read when its end is seen. Everything is in
// memory, within bounds on log text, on open streams and on pods. It decides
// neither which pods are worth it nor what becomes of a Job, and must not import
// controllers.
package capture
