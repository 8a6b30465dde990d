package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
)

// completeLater ends the Job so that all pods which are there were made before.
func completeLater(ctx context.Context, object *batchv1.Job, succeeded int32) {
	GinkgoHelper()
	end := metav1.NewTime(time.Now().Add(2 * time.Second).Truncate(time.Second))
	object.Status.Active, object.Status.Succeeded, object.Status.CompletionTime = 0, succeeded, &end
	object.Status.Conditions = append(object.Status.Conditions, ending(batchv1.JobComplete, end, batchv1.JobReasonCompletionsReached, "enough")...)
	Expect(kube.Status().Update(ctx, object)).To(Succeed())
	Eventually(time.Now).Should(BeTemporally(">=", end.Add(time.Second)))
}

// orphan deletes the Job as kubectl does with --cascade=orphan, and then does what the
// garbage collector does: it takes the Job from its pods, and its finalizer from the Job.
func orphan(ctx context.Context, object *batchv1.Job) {
	GinkgoHelper()
	Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
	Expect(read(ctx, object).Finalizers).To(ContainElement(metav1.FinalizerOrphanDependents))
	var pods corev1.PodList
	Expect(kube.List(ctx, &pods, client.InNamespace(object.Namespace))).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		if owner := metav1.GetControllerOf(pod); owner == nil || owner.UID != object.UID {
			continue
		}
		from := pod.DeepCopy()
		pod.OwnerReferences = nil
		Expect(kube.Patch(ctx, pod, client.MergeFrom(from))).To(Succeed())
	}
	change(ctx, object, func(j *batchv1.Job) {
		for i, finalizer := range j.Finalizers {
			if finalizer == metav1.FinalizerOrphanDependents {
				j.Finalizers = append(j.Finalizers[:i:i], j.Finalizers[i+1:]...)
				return
			}
		}
	})
}

var _ = Describe("A protected Job whose deletion leaves its pods without an owner", func() {
	It("has their logs stored, and those of no other pod", func(ctx SpecContext) {
		h := newHandler()
		lift := forbidConfigMaps(ctx)
		object := running(ctx, protect(aJob()))
		addPod(ctx, object, named("first"), ended(0))
		addPod(ctx, object, named("second"), ended(0))
		completeLater(ctx, object, 2)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		orphan(ctx, object)
		addPod(ctx, object, named("forged"), ended(0), func(p *corev1.Pod) { p.OwnerReferences = nil })
		lift()
		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 2, Seen: 2}))
		Expect(h.liveLists).To(BeZero())
		Expect(record.Pods).To(ConsistOf(HaveField("Name", "first"), HaveField("Name", "second")))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(And(ContainSubstring("hello from first"), ContainSubstring("hello from second")))
		expectGone(ctx, object)
	}, SpecTimeout(specTimeout))

	It("has them stored whatever their labels, and if they are deleted before", func(ctx SpecContext) {
		screen, captures := newConsole(capture.Options{})
		lift := forbidConfigMaps(ctx)
		startManager(ctx, &logs{captures: captures}, namespace)
		object := running(ctx, protect(aJob().ManualSelector("batch", "mine")))
		stays := addPod(ctx, object, named("stays"), ended(0))
		Expect(stays.Labels).NotTo(HaveKey(batchv1.ControllerUidLabel))
		goes := addPod(ctx, object, named("goes"), atWork)
		Expect(kube.Delete(ctx, goes, client.GracePeriodSeconds(30))).To(Succeed())
		Eventually(ctx, screen.follows).Should(ConsistOf("goes"))
		screen.write("goes", "last words\n")

		completeLater(ctx, object, 2)
		orphan(ctx, object)
		screen.end("goes")
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(goes), goes)).To(Succeed())
		terminate(goes, 0)
		goes.Status.Phase = corev1.PodSucceeded
		Expect(kube.Status().Update(ctx, goes)).To(Succeed())
		Expect(kube.Delete(ctx, goes, client.GracePeriodSeconds(0))).To(Succeed())
		lift()
		change(ctx, object, func(j *batchv1.Job) { metav1.SetMetaDataAnnotation(&j.ObjectMeta, "example.com/look", "again") })

		Eventually(ctx, func() []corev1.ConfigMap { return resultsIn(ctx) }).Should(HaveLen(1))
		record := recordOf(expectStored(ctx, object))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 2, Seen: 2}))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(And(ContainSubstring("hello from stays"), ContainSubstring("last words")))
	}, SpecTimeout(specTimeout))
})
