package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/jobtest/allocated"
)

// podHead is the start of a pod of the Job, in a record.
const podHead = `{"pod":{"metadata":{"uid":"x","ownerReferences":[{"kind":"Job","name":"job","uid":"` + string(job) + `","controller":true}]}`

// bombs are texts of some MiB, which take some KiB compressed, and would be hundreds
// of MiB of pods.
func bombs() map[string]string {
	list := func(element string) string {
		return element + strings.Repeat(","+element, (maxPodsText-1<<10)/(len(element)+1)-1)
	}
	return map[string]string{
		"containers":           podHead + `,"spec":{"containers":[` + list(`{}`) + `]}}}`,
		"init containers":      podHead + `,"spec":{"initContainers":[` + list(`null`) + `]}}}`,
		"ephemeral containers": podHead + `,"spec":{"ephemeralContainers":[` + list(`{"name":""}`) + `]}}}`,
		"statuses":             podHead + `,"status":{"containerStatuses":[` + list(`{}`) + `]}}}`,
		"states":               podHead + `,"status":{"containerStatuses":[` + list(`{"state":{"terminated":{}},"lastState":{"terminated":{}}}`) + `]}}}`,
		"one state":            podHead + `,"status":{"containerStatuses":[{` + list(`"state":{"terminated":null},"state":{"terminated":{}}`) + `}]}}}`,
		"conditions":           podHead + `,"status":{"conditions":[` + list(`{}`) + `]}}}`,
		"owners":               `{"pod":{"metadata":{"ownerReferences":[` + list(`{}`) + `]}}}`,
		"annotations":          podHead + `,"metadata":{"annotations":{` + list(`"a":""`) + `}}}}`,
		"logs":                 podHead + `},"logs":[` + list(`{}`) + `]}`,
		"counts":               podHead + `},"logs":[{"redacted":{` + list(`"":0`) + `}}]}`,
		"gaps":                 podHead + `},"logs":[{` + list(`"gap":null,"gap":{}`) + `}]}`,
		"pods of containers":   strings.Repeat(podHead+`,"spec":{"containers":[{}`+strings.Repeat(`,{}`, maxContainers-1)+`]}}}`, maxPodsOfJob),
		"pods":                 strings.Repeat(podHead+`}}`, maxPodsOfJob+1),
		"pods of logs":         strings.Repeat(podHead+`},"logs":[{}`+strings.Repeat(`,{}`, maxLogsOfPod-1)+`]}`, maxPodsOfJob),
		"keys":                 `{` + list(`"x":1`) + `}`,
		"depth":                strings.Repeat(`{"pod":`, maxPodsText/8),
		"lists in lists":       `{"x":` + strings.Repeat(`[`, maxPodsText/2),
		"a long name":          podHead + `,"spec":{"nodeName":"` + strings.Repeat(`x`, maxPodsText-1<<10) + `"}}}`,
		"a long escaped name":  podHead + `,"spec":{"nodeName":"` + strings.Repeat(`\n`, maxPodsText/2-1<<10) + `"}}}`,
		"a long key":           `{"` + strings.Repeat(`x`, maxPodsText-1<<10) + `":1}`,
		"space":                strings.Repeat(" ", 2*maxPodsText),
	}
}

// TestBombs has objects of some KiB, which anybody may make, not take much memory.
func TestBombs(t *testing.T) {
	for what, text := range bombs() {
		t.Run(what, func(t *testing.T) {
			object := map[string][]byte{PodsKey: gz(t, text)}
			c := New(nil, Options{})
			r := c.Restore(namespace, job)
			var err error
			took := allocated.By(func() { err = r.Add(object) })
			if err == nil {
				t.Error("it is taken")
			}
			// What is held until an error is found, and as much again while it grows.
			if most := int64(2 * (maxRecord + c.memory.mostRestored)); took > most {
				t.Errorf("%d bytes allocated for %d", took, len(object[PodsKey]))
			}
			if r.memory != 0 || len(r.captured) != 0 || c.memory.used != 0 || c.memory.restored != 0 {
				t.Errorf("%d bytes held for %d pods", c.memory.used, len(r.captured))
			}
		})
	}
}

// TestBoundsOfJob has what is restored of one Job be bounded for all of its objects
// together.
func TestBoundsOfJob(t *testing.T) {
	const size = 1 << 20
	one := stored(t, strings.Repeat("x", size), captureRecord{Complete: true})
	t.Run("text", func(t *testing.T) {
		r := New(nil, Options{}).Restore(namespace, job)
		defer r.Release()
		r.text = 5 * size / 2
		for i, want := range []error{nil, nil, ErrTooMuch, ErrTooMuch} {
			if err := r.Add(one); !errors.Is(err, want) {
				t.Errorf("object %d: %v, want %v", i, err, want)
			}
		}
		if len(r.captured) != 2 {
			t.Errorf("%d pods", len(r.captured))
		}
	})
	t.Run("text of what is refused", func(t *testing.T) {
		r := New(nil, Options{}).Restore(namespace, job)
		defer r.Release()
		r.text = 5 * size / 2
		bad := stored(t, strings.Repeat("x", size), captureRecord{Complete: true})
		bad[LogsKey] = append(bytes.Clone(bad[LogsKey]), 0)
		for i, want := range []error{errForeign, errForeign, ErrTooMuch} {
			if err := r.Add(bad); !errors.Is(err, want) {
				t.Errorf("object %d: %v, want %v", i, err, want)
			}
		}
	})
	t.Run("text of records", func(t *testing.T) {
		r := New(nil, Options{}).Restore(namespace, job)
		defer r.Release()
		r.text = 1 << 10
		if err := r.Add(map[string][]byte{PodsKey: gz(t, strings.Repeat(" ", 1<<20))}); !errors.Is(err, ErrTooMuch) {
			t.Error(err)
		}
	})
	t.Run("pods", func(t *testing.T) {
		c := New(nil, Options{MemoryBytes: 8 << 20})
		r := c.Restore(namespace, job)
		defer r.Release()
		pods := map[string][]byte{PodsKey: gz(t, strings.Repeat(podHead+`}}`, maxPodsOfJob))}
		var err error
		objects := 0
		for ; err == nil; objects++ {
			err = r.Add(pods)
		}
		if !errors.Is(err, ErrTooMuch) || objects < 4 || c.memory.restored > leastRestored || c.memory.used != 0 {
			t.Errorf("%v, %d objects, %d bytes for pods, %d in use", err, objects, c.memory.restored, c.memory.used)
		}
		// Another Job has to wait until there is memory.
		other := c.Restore(namespace, job)
		if err := other.Add(pods); !errors.Is(err, ErrMemory) {
			t.Error(err)
		}
		r.Release()
		if err := other.Add(pods); err != nil {
			t.Error(err)
		}
		other.Release()
		if c.memory.restored != 0 || c.memory.used != 0 {
			t.Errorf("%d bytes for pods, %d in use in the end", c.memory.restored, c.memory.used)
		}
	})
}

// fullPod has every field in it that is stored of a pod, and others.
func fullPod() *corev1.Pod {
	at := metav1.Unix(1_700_000_000, 0)
	state := corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"},
		Running: &corev1.ContainerStateRunning{StartedAt: at},
		Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 3, Signal: 9, Reason: "Error", Message: "bye", StartedAt: at, FinishedAt: at, ContainerID: "containerd://old",
		},
	}
	status := func(name string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{
			Name: name, Image: "image", ImageID: "id", ContainerID: "containerd://" + name, Ready: true, Started: new(true),
			RestartCount: 2, State: state, LastTerminationState: state,
		}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "batch", Name: "p", UID: "uid", CreationTimestamp: at, DeletionTimestamp: &at, DeletionGracePeriodSeconds: new(int64(30)),
			Annotations: map[string]string{"batch.kubernetes.io/job-completion-index": "7"},
			Finalizers:  []string{batchv1.JobTrackingFinalizer},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: job, Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1", RestartPolicy: corev1.RestartPolicyNever,
			InitContainers: []corev1.Container{{Name: "init", Image: "image", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}},
			Containers:     []corev1.Container{{Name: "main", Image: "image"}},
			EphemeralContainers: []corev1.EphemeralContainer{{
				EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "image"},
			}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodFailed, Reason: "Evicted", Message: "no room",
			Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionTrue, Reason: "Late", Message: "at last",
			}, {Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
			InitContainerStatuses: status("init"), ContainerStatuses: status("main"), EphemeralContainerStatuses: status("debug"),
		},
	}
}

// TestPodsOfOtherVersions has records be those of corev1.Pod, in which earlier
// versions stored and read pods.
func TestPodsOfOtherVersions(t *testing.T) {
	want := fullPod()
	text, err := json.Marshal(struct {
		Pod *corev1.Pod `json:"pod"`
	}{want})
	if err != nil {
		t.Fatal(err)
	}
	r := New(nil, Options{}).Restore(namespace, job)
	defer r.Release()
	if err := r.Add(map[string][]byte{PodsKey: gz(t, string(text))}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, r.captured[0].Pod); diff != "" {
		t.Errorf("of an earlier version (-want +got):\n%s", diff)
	}
	if text, err = json.Marshal(podRecord{Pod: newPodJSON(want, nil)}); err != nil {
		t.Fatal(err)
	}
	var earlier struct {
		Pod *corev1.Pod `json:"pod"`
	}
	if err := json.Unmarshal(text, &earlier); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, earlier.Pod); diff != "" {
		t.Errorf("by an earlier version (-want +got):\n%s", diff)
	}
}

// TestPodsOfOthers has no more be stored of a pod than what is restored.
func TestPodsOfOthers(t *testing.T) {
	pod := fullPod()
	pod.Labels = map[string]string{"a": "b"}
	pod.Annotations["other"] = "value"
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "a", Value: "b"}}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady})
	pod.Status.Message = strings.Repeat("ü", maxPodMessage)
	got, err := newPodJSON(pod, nil).pod()
	if err != nil {
		t.Fatal(err)
	}
	want := fullPod()
	want.Status.Message = strings.Repeat("ü", maxPodMessage/2)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPodsOfTooMany has a pod not be stored that would not be restored.
func TestPodsOfTooMany(t *testing.T) {
	pod := fullPod()
	for len(pod.Spec.Containers) < maxContainers-2 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "more"})
	}
	if _, fits, err := encode(&Captured{Pod: pod}, PackOptions{MaxBytes: 1 << 20}); !fits || err != nil {
		t.Errorf("%t, %v", fits, err)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "more"})
	if _, fits, err := encode(&Captured{Pod: pod}, PackOptions{MaxBytes: 1 << 20}); fits || err != nil {
		t.Errorf("%t, %v", fits, err)
	}
}
