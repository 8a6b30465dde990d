package results

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
)

func FuzzBuild(f *testing.F) {
	f.Add("report-abc12", "main", "Error: no such table\n", []byte("log\n"), uint16(1<<10))
	f.Add("report-abc12", "main", `{"logs": "a\u0000", "": null}`, []byte("a/b=1\n"), uint16(1<<10))
	f.Add("\x1b[31m", "\"\\\u202e", "\xff\x00\r\n\t<&>", []byte("\x1b]0;title\a\r\n\xe4\xb8"), uint16(3))
	f.Fuzz(func(t *testing.T, name, container, message string, log []byte, capacity uint16) {
		state := exited(1)
		state.Terminated.Reason, state.Terminated.Message = message, message
		pod := podAt(name, 1).with(container, state, "")
		pod.Pod.Spec.NodeName, pod.Pod.Status.Message = message, message
		pod.Pod.Annotations = map[string]string{"batch.kubernetes.io/job-completion-index": message}
		pod.Pod.Status.ContainerStatuses[0].ImageID = message
		pod.Logs[0] = ContainerLog{
			Container: container, Text: buffer(string(log), int(capacity)),
			Capture: Capture{Reason: message, Message: message},
		}
		run := failedRun(pod, podAt(name, 2).with(name, corev1.ContainerState{}, string(log)),
			podAt(name+"-1", 3).with(container, exited(0), "").says(message), podAt(name+"-2", 3).with(container, exited(0), "").says(string(log)))
		run.Job.Name, run.Outcome.Message, run.Outcome.Reason, run.CronJob = name, message, message, container
		run.MaxBytes = MinBytes
		if run.Job.Name == "" {
			return
		}
		content := build(t, run)
		checkContent(t, &run, content)
		if err := verifyRecord(content.Data[api.DataJobJSON], run.Job, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	runs := map[string]Run{
		"1 pod 2 KiB":          completedRun(podAt("report-abc12", 1).with("main", exited(0), numbered(85))),
		"1 pod 1 MiB":          completedRun(podAt("report-abc12", 1).with("main", exited(0), numbered(43_690))),
		"10000 pods 2 KiB":     largeRun(10_000),
		"10000 pods report":    reporting(largeRun(10_000)),
		"1 pod more than kept": completedRun(podAt("report-abc12", 1).with("main", exited(0), numbered(200_000))),
	}
	for name, run := range runs {
		b.Run(name, func(b *testing.B) {
			var kept int64
			for _, p := range run.Pods {
				for _, l := range p.Logs {
					kept += int64(l.Text.Kept())
				}
			}
			b.SetBytes(kept)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Build(run); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
