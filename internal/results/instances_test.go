package results

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/api"
)

// restartedPod returns a pod whose container was restarted so often.
func restartedPod(name string, restarts int32) Pod {
	pod := podAt(name, 1).with("main", exited(0), "now\n")
	status := &pod.Pod.Status.ContainerStatuses[0]
	status.RestartCount, status.LastTerminationState = restarts, exited(2)
	pod.Logs = append(pod.Logs, ContainerLog{Container: "main", Previous: true, Text: buffer("before\n", 100), Capture: Capture{Complete: true}})
	return pod
}

// earlier adds an earlier instance.
func (p Pod) earlier(restart int32, log string, capture Capture) Pod {
	l := ContainerLog{Container: "main", InstanceID: fmt.Sprintf("containerd://%d", restart), Capture: capture}
	l.Earlier = &Instance{Restart: restart, End: exited(1).Terminated}
	if log != "" {
		l.Text = buffer(log, 1<<20)
	}
	p.Logs = append(p.Logs, l)
	return p
}

func earlierLogs(pod *Pod, container string) []*ContainerLog {
	var logs []*ContainerLog
	for i := range pod.Logs {
		if l := &pod.Logs[i]; l.Container == container && l.Earlier != nil {
			logs = append(logs, l)
		}
	}
	return logs
}

func TestInstances(t *testing.T) {
	whole, lost := Capture{Complete: true}, Capture{Reason: ReasonContainerGone, Message: "the container was started again"}
	unseen := restartedPod("report-a", 2).earlier(UnknownRestart, "early\n", whole)
	unseen.Logs[2].Earlier.End = nil
	tests := map[string]struct {
		pod     Pod
		logs    string
		capture string
		earlier int
		records []InstanceRecord
	}{
		"all": {
			pod: restartedPod("report-a", 3).earlier(0, "first\n", whole).earlier(1, "second\n", whole),
			logs: `==> pod report-a, container main, instance 1 of 4 (node node-1, exit code 1) <==
first

==> pod report-a, container main, instance 2 of 4 (node node-1, exit code 1) <==
second

==> pod report-a, container main, previous instance (node node-1, exit code 2) <==
before

==> pod report-a, container main (node node-1, exit code 0) <==
now
`,
			capture: api.CaptureComplete,
			records: []InstanceRecord{
				{ContainerID: "containerd://0", Restart: new(int32(0)), Capture: CaptureRecord{Complete: true, BytesSeen: 6, BytesKept: 6}},
				{ContainerID: "containerd://1", Restart: new(int32(1)), Capture: CaptureRecord{Complete: true, BytesSeen: 7, BytesKept: 7}},
			},
		},
		"some are lost": {
			pod: restartedPod("report-a", 4).earlier(1, "", lost),
			logs: `==> pod report-a, container main, instance 2 of 5 (node node-1, exit code 1) <==
[job-handler: no log of 2 earlier instances of this container]
[job-handler: no log: ContainerGone: the container was started again]

==> pod report-a, container main, previous instance (node node-1, exit code 2) <==
before

==> pod report-a, container main (node node-1, exit code 0) <==
now
`,
			capture: "incomplete: ContainerGone (pod report-a, container main); InstancesGone (2 logs, first pod report-a, container main)",
			earlier: 2,
			records: []InstanceRecord{{
				ContainerID: "containerd://1", Restart: new(int32(1)),
				Capture: CaptureRecord{Reason: ReasonContainerGone, Message: "the container was started again"},
			}},
		},
		"its end was not seen": {
			pod: unseen,
			logs: `==> pod report-a, container main, earlier instance (node node-1) <==
early

==> pod report-a, container main, previous instance (node node-1, exit code 2) <==
before

==> pod report-a, container main (node node-1, exit code 0) <==
now
`,
			capture: api.CaptureComplete,
			records: []InstanceRecord{{
				ContainerID: "containerd://-1", State: StateRecord{State: StateUnknown},
				Capture: CaptureRecord{Complete: true, BytesSeen: 6, BytesKept: 6},
			}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := build(t, completedRun(tc.pod))
			if diff := cmp.Diff(tc.logs, content.Data[api.DataLogs]); diff != "" {
				t.Errorf("logs (-want +got):\n%s", diff)
			}
			if got := content.Capture.String(); got != tc.capture {
				t.Errorf("capture %q", got)
			}
			container := readRecord(t, content).Pods[0].Containers[0]
			for i := range container.Instances {
				container.Instances[i].Capture.Exact = nil
				if state := &tc.records[i].State; state.State == "" {
					*state = stateRecord(exited(1), 0)
				}
			}
			if diff := cmp.Diff(tc.records, container.Instances); diff != "" || container.EarlierInstances != tc.earlier {
				t.Errorf("%d besides, instances (-want +got):\n%s", container.EarlierInstances, diff)
			}
		})
	}
}

// crowd returns a run of so many pods, with so many earlier instances each.
func crowd(pods, earlier int) Run {
	run := completedRun()
	for i := range pods {
		pod := restartedPod(fmt.Sprintf("report-%03d", i), 31)
		for restart := range int32(earlier) {
			pod = pod.earlier(restart, "early\n", Capture{Complete: true})
		}
		run.Pods = append(run.Pods, pod)
	}
	run.Job.Status.Succeeded = int32(pods)
	return run
}

// TestInstancesBounds tells of few earlier instances where there are many, and of none
// rather than of a container less.
func TestInstancesBounds(t *testing.T) {
	for _, pods := range []int{100, 600} {
		t.Run(fmt.Sprint(pods), func(t *testing.T) {
			run := crowd(pods, 30)
			content := build(t, run)
			instances, containers := 0, 0
			for _, pod := range readRecord(t, content).Pods {
				containers += len(pod.Containers)
				c := pod.Containers[0]
				instances += len(c.Instances)
				if len(c.Instances)+c.EarlierInstances != 30 || len(c.Instances) > maxInstances {
					t.Fatalf("%s: %d instances are told of, %d counted", pod.Name, len(c.Instances), c.EarlierInstances)
				}
				if n := len(c.Instances); n == maxInstances && (*c.Instances[0].Restart != 0 || *c.Instances[n-1].Restart != 29) {
					t.Errorf("%s: the first one is %d, the last one %d", pod.Name, *c.Instances[0].Restart, *c.Instances[n-1].Restart)
				}
			}
			without := 0
			for _, pod := range readRecord(t, build(t, crowd(pods, 0))).Pods {
				without += len(pod.Containers)
			}
			if containers != without {
				t.Errorf("%d containers, %d without instances", containers, without)
			}
			if pods == 100 && instances != maxInstancesOfRun || pods == 600 && instances > 10 {
				t.Errorf("%d instances", instances)
			}
			if !strings.Contains(content.Capture.Why, ReasonInstancesGone) {
				t.Errorf("it is said: %s", content.Capture.Why)
			}
			checkContent(t, &run, content)
		})
	}
}

// A log that might be read later is waited for, whether or not there is room to tell of
// its instance.
func TestInstancesLeftOutMayHeal(t *testing.T) {
	away := Capture{Reason: ReasonNodeUnreachable, Message: "dial tcp", Retryable: true}
	for name, capture := range map[string]Capture{"may heal": away, "is lost": {Reason: ReasonContainerGone}, "whole": {Complete: true, Retryable: true}} {
		t.Run(name, func(t *testing.T) {
			pod := restartedPod("report-a", 2*maxInstances)
			for restart := range int32(2 * maxInstances) {
				one := Capture{Complete: true}
				if restart == maxInstances/2 {
					one = capture
				}
				pod = pod.earlier(restart, "early\n", one)
			}
			run := completedRun()
			run.Pods = []Pod{pod}
			want := capture.Retryable && !capture.Complete
			if before, after := Summarize(run), build(t, run).Capture; before.Retryable != want || after.Retryable != want {
				t.Errorf("Summarize said %t, Build %t, want %t", before.Retryable, after.Retryable, want)
			}
		})
	}
}
