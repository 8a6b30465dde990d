package job_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reports has every container leave this termination message.
func reports(message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for i := range pod.Status.ContainerStatuses {
			pod.Status.ContainerStatuses[i].State.Terminated.Message = message
		}
	}
}

var _ = Describe("A Job's own results", func() {
	It("are under keys of their own", func(ctx SpecContext) {
		h := newHandler()
		object := running(ctx, aJob())
		addPod(ctx, object, ended(0), reports(`{"records-processed": "1,234,567", "rows": 1.50, "logs": "mine"}`))
		complete(ctx, object, 1)

		h.settle(ctx, object)

		data := expectStored(ctx, object).Data
		Expect(data).To(HaveKeyWithValue("records-processed", "1,234,567"))
		Expect(data).To(HaveKeyWithValue("rows", "1.50"))
		Expect(data).To(HaveKeyWithValue("result.logs", "mine"))
		Expect(data["logs"]).To(ContainSubstring("hello from"))
		expectGone(ctx, object)
	})

	It("have the completion index in front in an Indexed Job", func(ctx SpecContext) {
		h := newHandler()
		builder := aJob()
		builder.Obj().Spec.CompletionMode, builder.Obj().Spec.Completions = new(batchv1.IndexedCompletion), new(int32(2))
		object := create(ctx, stamped(builder))
		start(ctx, object)
		for _, index := range []string{"0", "1"} {
			addPod(ctx, object, ended(0), reports("rows=1"+index), func(pod *corev1.Pod) {
				metav1.SetMetaDataAnnotation(&pod.ObjectMeta, batchv1.JobCompletionIndexAnnotation, index)
			})
		}
		complete(ctx, object, 2)

		h.settle(ctx, object)

		data := expectStored(ctx, object).Data
		Expect(data).To(HaveKeyWithValue("0.rows", "10"))
		Expect(data).To(HaveKeyWithValue("1.rows", "11"))
	})
})
