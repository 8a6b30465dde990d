package job_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// waitingFor is a pod on a node of which the containers wait.
func waitingFor(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeName = "node-1"
		pod.Status.Phase = corev1.PodPending
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

// warned writes a Warning Event about the object, as a component of Kubernetes does.
func warned(ctx context.Context, about client.Object, kind, reason, message string) {
	GinkgoHelper()
	at := metav1.NewTime(time.Now().Truncate(time.Second))
	Expect(kube.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: about.GetNamespace(), GenerateName: about.GetName() + "-"},
		InvolvedObject: corev1.ObjectReference{
			Kind: kind, Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
		},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message, Count: 3, FirstTimestamp: at, LastTimestamp: at,
		Source: corev1.EventSource{Component: "test"},
	})).To(Succeed())
}

var _ = Describe("Why a Job failed", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	It("is told by Events where it had no pod", func(ctx SpecContext) {
		object := running(ctx, aJob())
		warned(ctx, object, "Job", "FailedCreate", `Error creating: pods "job-" is forbidden: exceeded quota`)
		fail(ctx, object, 0)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Data).To(And(
			HaveKeyWithValue(api.DataMessage, HaveSuffix(`; FailedCreate: Error creating: pods "job-" is forbidden: exceeded quota`)),
			HaveKeyWithValue(api.DataEvents, MatchRegexp(`^\S+Z  job/job  FailedCreate \(3 times\): Error creating: [^\n]*exceeded quota\n$`)),
		))
		record := recordOf(stored)
		Expect(record.Events).To(HaveExactElements(And(
			HaveField("Kind", "Job"), HaveField("Name", "job"), HaveField("Reason", "FailedCreate"), HaveField("Count", 3))))
		Expect(record.Explanation.Reason).To(Equal("FailedCreate"))
		Expect(eventsOf(ctx, object, "")).To(ContainElement(HaveField("Note", And(
			ContainSubstring("backoff limit; FailedCreate); results"), Not(ContainSubstring("quota"))))))
	})

	It("is told by Events of a pod that never started, and nothing counts as lost", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := addPod(ctx, object, waitingFor("ContainerCreating", ""), func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed })
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog {
			return results.ContainerLog{Container: container, Capture: results.Capture{
				Complete: true, Reason: results.ReasonNeverStarted, Message: "ContainerCreating",
			}}
		}
		warned(ctx, pod, "Pod", "FailedMount", `secret "keys" not found`)
		fail(ctx, object, 1)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Data).To(And(
			HaveKeyWithValue(api.DataMessage, HaveSuffix(`: FailedMount: secret "keys" not found (3 times)`)),
			HaveKeyWithValue(api.DataLogs, ContainSubstring(`[job-handler: no log: NeverStarted: FailedMount: secret "keys" not found]`)),
		))
		Expect(recordOf(stored).Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete))
	})

	It("is told without Events where they cannot be listed", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, object runtime.Object) error {
			if _, isEvents := object.(*corev1.EventList); isEvents {
				return errors.New("not today")
			}
			return nil
		}

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Data).To(And(
			HaveKeyWithValue(api.DataMessage, HaveSuffix("container main: Ended, exit code 1")),
			HaveKeyWithValue(api.DataEvents, "[job-handler: the Events could not be listed]\n"),
		))
		Expect(recordOf(stored).EventsNote).To(Equal("the Events could not be listed"))
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
	})

	It("says that Events of an old Job may have expired", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		h.step(2 * time.Hour)

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data).To(HaveKeyWithValue(api.DataEvents,
			"[job-handler: Kubernetes keeps Events for an hour by default, and the Job is 2h0m0s old]\n"))
	})

	It("is asked for once, however often its results cannot be stored", func(ctx SpecContext) {
		lists := 0
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, object runtime.Object) error {
			if _, isEvents := object.(*corev1.EventList); isEvents {
				lists++
			}
			return nil
		}
		object := failed(ctx, aJob())
		refusals := 0
		h.before = func(_ context.Context, w write) error {
			if w.what == "create ConfigMap" && refusals < 5 {
				refusals++
				return errors.New("refused")
			}
			return nil
		}
		for range 5 {
			_, err := h.pass(ctx, object)
			Expect(err).To(HaveOccurred())
			h.step(time.Minute)
		}

		h.settle(ctx, object)

		expectStored(ctx, object)
		Expect(lists).To(Equal(1))
	})

	It("is not asked for of a Job that completed", func(ctx SpecContext) {
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, object runtime.Object) error {
			Expect(object).NotTo(BeAssignableToTypeOf(&corev1.EventList{}))
			return nil
		}
		object := completed(ctx, aJob())
		warned(ctx, object, "Job", "Odd", "nothing of interest")

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data).NotTo(HaveKey(api.DataEvents))
	})
})
