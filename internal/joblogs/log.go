package joblogs

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// Log is one log of a pod that is to be followed: what is known without reading
// it, or how to read it.
type Log struct {
	// ContainerLog tells why there is nothing to read; of a Readable one it has
	// the name and the instance alone.
	results.ContainerLog
	// Ended is true once the instance is reported to have ended.
	Ended bool

	task *task
}

// Readable reports whether the log can be followed.
func (l Log) Readable() bool { return l.task != nil }

// LogsOf lists the logs of pod as Collect would read them.
func LogsOf(pod *corev1.Pod) []Log {
	collected, tasks := assign([]*corev1.Pod{pod})
	logs := make([]Log, 0, len(collected[0].Logs))
	for i := range collected[0].Logs {
		log := Log{ContainerLog: collected[0].Logs[i]}
		for _, t := range tasks {
			if t.log == &collected[0].Logs[i] {
				log.task, log.Ended = t, t.end != nil
			}
		}
		logs = append(logs, log)
	}
	return logs
}
