package why

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/jobstatus"
)

var (
	late    = jobstatus.Outcome{Phase: jobstatus.Failed, Reason: batchv1.JobReasonDeadlineExceeded}
	backoff = jobstatus.Outcome{Phase: jobstatus.Failed, Reason: batchv1.JobReasonBackoffLimitExceeded}
)

// named returns the pod under another name, created later than p.
func named(p *corev1.Pod, name string) *corev1.Pod {
	p.Name, p.UID = name, types.UID("uid-"+name)
	p.CreationTimestamp = metav1.NewTime(noon)
	return p
}

func failedPod(p *corev1.Pod) *corev1.Pod {
	p.Status.Phase = corev1.PodFailed
	return p
}

// deletedPod returns the pod with a deletion that began at noon.
func deletedPod(p *corev1.Pod) *corev1.Pod {
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = new(metav1.NewTime(noon.Add(30*time.Second))), new(int64(30))
	return p
}

func endedAt(code int32, reason string, at time.Time) corev1.ContainerState {
	state := ended(code, reason)
	state.Terminated.FinishedAt = metav1.NewTime(at)
	return state
}

func withCondition(p *corev1.Pod, c corev1.PodCondition) *corev1.Pod {
	p.Status.Conditions = append(p.Status.Conditions, c)
	return p
}

func about(kind, uid, name, reason, message string) Event {
	return Event{UID: types.UID(uid), Kind: kind, Name: name, Reason: reason, Message: message, Count: 1, Last: noon}
}

func TestExplain(t *testing.T) {
	unscheduled := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
	}
	initFailed := pod(status("main", waits("PodInitializing", "")))
	initFailed.Status.InitContainerStatuses = []corev1.ContainerStatus{status("setup", ended(7, "Error"))}
	said := ended(3, "Error")
	said.Terminated.Message = "no such table\n"
	restarted := status("main", running)
	restarted.RestartCount, restarted.LastTerminationState = 2, ended(1, "Error")
	evicted := failedPod(pod(status("main", ended(137, "Error"))))
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "The node was low on memory"
	outOfMemory := ended(137, "OOMKilled")

	for name, test := range map[string]struct {
		outcome jobstatus.Outcome
		pods    []*corev1.Pod
		events  []Event
		want    string
		quoted  string
	}{
		"nothing is known": {outcome: late},
		"a Job that completed": {
			outcome: jobstatus.Outcome{Phase: jobstatus.Completed}, pods: []*corev1.Pod{pod(status("main", waits("ErrImagePull", "")))},
		},
		"an image that is not there": {
			late,
			[]*corev1.Pod{pod(status("main", waits("ErrImagePull", "no such image")))},
			nil,
			"pod p, container main: ErrImagePull: no such image", "pod p, container main: ErrImagePull",
		},
		"its Event says less than its state": {
			late,
			[]*corev1.Pod{pod(status("main", waits("ErrImagePull", "no such image")))},
			[]Event{about("Pod", "uid-p", "p", "Failed", "Error: ErrImagePull")},
			"pod p, container main: ErrImagePull: no such image", "pod p, container main: ErrImagePull",
		},
		"no node": {
			late,
			[]*corev1.Pod{withCondition(pod(), unscheduled)},
			[]Event{about("Pod", "uid-p", "p", "FailedScheduling", "0/1 nodes are available: more")},
			"pod p: Unschedulable: 0/1 nodes are available", "pod p: Unschedulable",
		},
		"a volume that is not there": {
			late,
			[]*corev1.Pod{pod(status("main", waits("ContainerCreating", "")))},
			[]Event{
				about("Pod", "uid-p", "p", "BackOff", "a container"), about("Pod", "uid-p", "p", "FailedMount", "secret not found"),
				about("Pod", "uid-x", "x", "FailedMount", "another pod"), about("Job", "uid-j", "j", "DeadlineExceeded", "too late"),
			},
			"pod p: FailedMount: secret not found", "pod p: FailedMount",
		},
		"how often": {
			late,
			[]*corev1.Pod{pod(status("main", waits("ContainerCreating", "")))},
			[]Event{event("FailedMount", "secret not found", 0, 1, 2)},
			"pod p: FailedMount: secret not found (3 times)", "pod p: FailedMount",
		},
		"no pod": {
			late, nil,
			[]Event{about("Job", "uid-j", "j", "FailedCreate", "exceeded quota")},
			"FailedCreate: exceeded quota", "FailedCreate",
		},
		"a pod that was gone before it was seen": {
			late, nil,
			[]Event{about("Pod", "uid-p", "p", "FailedScheduling", "0/1 nodes")},
			"pod p: FailedScheduling: 0/1 nodes", "pod p: FailedScheduling",
		},
		"an exit code": {
			backoff,
			[]*corev1.Pod{failedPod(pod(status("main", said)))},
			nil,
			`pod p, container main: Error, exit code 3: no such table`, "pod p, container main: Error, exit code 3",
		},
		"an init container": {
			backoff,
			[]*corev1.Pod{failedPod(initFailed)},
			nil,
			"pod p, init container setup: Error, exit code 7", "pod p, init container setup: Error, exit code 7",
		},
		"out of memory": {
			backoff,
			[]*corev1.Pod{failedPod(pod(status("main", outOfMemory), status("other", ended(1, "Error"))))},
			nil,
			"pod p, container main: OOMKilled, exit code 137: the container used more memory than its limit",
			"pod p, container main: OOMKilled, exit code 137",
		},
		"a child out of memory": {
			backoff,
			[]*corev1.Pod{failedPod(pod(status("main", ended(3, "OOMKilled"))))},
			nil,
			"pod p, container main: OOMKilled, exit code 3: a process in the container was killed since it used more memory than the " +
				"container's limit; the program continued and ended by itself",
			"pod p, container main: OOMKilled, exit code 3",
		},
		"evicted": {
			backoff, []*corev1.Pod{evicted}, nil, "pod p: Evicted: The node was low on memory", "pod p: Evicted",
		},
		"preempted": {
			backoff, []*corev1.Pod{withCondition(deletedPod(pod(status("main", endedAt(143, "Error", noon.Add(time.Second))))), corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "PreemptionByScheduler", Message: "for a more important pod",
			})}, nil, "pod p: PreemptionByScheduler: for a more important pod", "pod p: PreemptionByScheduler",
		},
		"killed at the deadline: that explains nothing": {
			outcome: late, pods: []*corev1.Pod{deletedPod(pod(status("main", endedAt(143, "Error", noon.Add(time.Second)))))},
		},
		"ended before its pod was deleted": {
			late,
			[]*corev1.Pod{deletedPod(pod(status("main", endedAt(2, "Error", noon.Add(-time.Second)))))},
			nil,
			"pod p, container main: Error, exit code 2", "pod p, container main: Error, exit code 2",
		},
		"restarted until the deadline": {
			late, []*corev1.Pod{pod(restarted)}, nil, "pod p, container main: Error, exit code 1", "pod p, container main: Error, exit code 1",
		},
		"a pod that failed, rather than one that waits": {
			backoff,
			[]*corev1.Pod{failedPod(pod(status("main", ended(3, "Error")))), named(withCondition(pod(), unscheduled), "q")},
			nil,
			"pod p, container main: Error, exit code 3", "pod p, container main: Error, exit code 3",
		},
		"the latest attempt": {
			backoff,
			[]*corev1.Pod{named(failedPod(pod(status("main", ended(4, "Error")))), "q"), failedPod(pod(status("main", ended(3, "Error"))))},
			nil,
			"pod q, container main: Error, exit code 4", "pod q, container main: Error, exit code 4",
		},
		"a reason that anybody may have written": {
			late, nil,
			[]Event{about("Pod", "uid-p", "p", "CallThisNumber", "now")},
			"pod p: CallThisNumber: now", "pod p",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Explain(test.outcome, test.pods, test.events)
			if got.String() != test.want || got.Quotable() != test.quoted {
				t.Errorf("got  %q, %q\nwant %q, %q", got.String(), got.Quotable(), test.want, test.quoted)
			}
		})
	}
}

// TestExplanationIsBounded has no text of others make an explanation long, or more than
// one line.
func TestExplanationIsBounded(t *testing.T) {
	long := strings.Repeat("line\n\x1b[31m", 1000)
	p := pod(status(long, waits(long, long)))
	p.Name = long
	e := Explain(late, []*corev1.Pod{p}, []Event{about("Pod", "uid-p", long, long, long)})
	if text := e.String(); len(text) > 4<<10 || strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("%d bytes: %.100q", len(text), text)
	}
	if quoted := e.Quotable(); strings.Contains(quoted, long[:20]) || strings.ContainsAny(quoted, "\n\x1b") {
		t.Errorf("quoted: %.100q", quoted)
	}
}
