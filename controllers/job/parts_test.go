package job_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// largeLog makes three parts, the last of them short.
const largeLog = 4_800_000

// withParts has the results of a Job have parts.
func withParts(o *job.Options) { o.MaxResultsBytes = 4 << 20 }

// talkative returns a process of the manager whose Jobs write largeLog bytes.
func talkative(change ...func(*job.Options)) *handler {
	h := newHandler(append([]func(*job.Options){withParts}, change...)...)
	h.logs.read = talks
	return h
}

func talks(_ *corev1.Pod, container string) results.ContainerLog {
	buffer := logtext.NewBuffer(8 << 20)
	_, _ = buffer.Write([]byte(noise(largeLog)))
	return results.ContainerLog{Container: container, Text: buffer, Capture: results.Capture{Complete: true}}
}

// partsIn returns the parts in the spec's namespace by name.
func partsIn(ctx context.Context) []corev1.ConfigMap {
	GinkgoHelper()
	return slices.DeleteFunc(created(ctx), func(cm corev1.ConfigMap) bool { return cm.Labels[api.PartLabel] == "" })
}

// logOf returns the one log of the results under this name, as it was written.
func logOf(ctx context.Context, name string) string {
	GinkgoHelper()
	fetch := func(_ context.Context, name string) (*results.Object, error) {
		return results.Decode(configMap(ctx, name)), nil
	}
	run, err := resultsview.Open(ctx, name, fetch)
	Expect(err).NotTo(HaveOccurred())
	logs, err := run.Logs(ctx, fetch)
	Expect(err).NotTo(HaveOccurred())
	Expect(logs.List).To(HaveLen(1))
	return string(logs.List[0].Head)
}

// expectWhole expects the whole log in the results of this name.
func expectWhole(ctx context.Context, object *batchv1.Job, name string) {
	GinkgoHelper()
	Expect(results.Decode(configMap(ctx, name)).Verify(object, nil)).To(Succeed())
	same := logOf(ctx, name) == noise(largeLog)
	Expect(same).To(BeTrue(), "the log is what was written")
}

var _ = Describe("Results that are larger than an object", func() {
	const parts = 3

	// The same log of a pod of the same name makes the same parts.
	keeps := func(pod string) *batchv1.Job {
		return stamped(aJob().Annotation(api.DeleteAfterSuccessAnnotation, api.Never).Label("pod", pod))
	}
	finish := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		object = create(ctx, object)
		start(ctx, object)
		addPod(ctx, object, named("job-"+object.Labels["pod"]), ended(0))
		complete(ctx, object, 1)
		return object
	}

	It("are stored in parts first, which the results list", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()

		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(h.written()).To(Equal([]string{
			createResults, createResults, createResults, createResults, createEvent, patchJob, deleteJob,
		}))
		stored := expectStored(ctx, object)
		Expect(recordOf(stored).Capture.Complete).To(BeTrue())
		list, err := results.Decode(stored).Parts()
		Expect(err).NotTo(HaveOccurred())
		Expect(list.Parts).To(HaveLen(parts))
		Expect(partsIn(ctx)).To(HaveLen(parts))
		for i, record := range list.Parts {
			part := configMap(ctx, record.Name)
			Expect(part.Name).To(HavePrefix(fmt.Sprintf("job-results-part-%d-%s", i, record.SHA256[:8])))
			Expect(results.Decode(part).VerifyPart(object, record)).To(Succeed())
			Expect(part.OwnerReferences).To(BeEmpty())
			Expect(part.Labels).To(And(
				HaveKeyWithValue(api.PartLabel, fmt.Sprint(i)), HaveKeyWithValue(api.CreatedLabel, api.True),
				HaveKeyWithValue(api.JobNameLabel, "job"), HaveKeyWithValue(api.JobUIDLabel, string(object.UID))))
			Expect(part.Annotations).To(HaveKeyWithValue(api.PartOfAnnotation, stored.Name))
		}
		expectWhole(ctx, object, stored.Name)
	})

	It("are stored in parts of the same kind", func(ctx SpecContext) {
		inSecrets(ctx)
		object, h := completed(ctx, aJob()), talkative()

		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(created(ctx)).To(BeEmpty())
		stored := secret(ctx, "job-results")
		list, err := results.Decode(stored).Parts()
		Expect(err).NotTo(HaveOccurred())
		for _, record := range list.Parts {
			Expect(results.Decode(secret(ctx, record.Name)).VerifyPart(object, record)).To(Succeed())
		}
	})

	for n := range parts + 1 {
		for _, side := range []string{"before", "after"} {
			It(fmt.Sprintf("end the same if the process dies %s write %d", side, n+1), func(ctx SpecContext) {
				object, h := completed(ctx, aJob()), talkative()
				left := n + 1
				crash := func(context.Context, write) error {
					if left--; left == 0 {
						return errCrash
					}
					return nil
				}
				if side == "before" {
					h.before = crash
				} else {
					h.after = crash
				}
				_, err := h.pass(ctx, object)
				Expect(err).To(MatchError(errCrash))
				Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
				var known []string
				for _, cm := range created(ctx) {
					known = append(known, cm.Name+string(cm.UID))
				}

				h.restarted().settle(ctx, object)

				expectGone(ctx, object)
				expectWhole(ctx, object, expectStored(ctx, object).Name)
				Expect(partsIn(ctx)).To(HaveLen(parts), "those that were there are used")
				Expect(outcomesOf(ctx, object)).To(HaveLen(1))
				var now []string
				for _, cm := range created(ctx) {
					now = append(now, cm.Name+string(cm.UID))
				}
				Expect(now).To(ContainElements(known))
			})
		}
	}

	It("leave parts of another build alone, which do no harm", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog {
			log := talks(nil, container)
			log.Text = logtext.NewBuffer(8 << 20)
			_, _ = log.Text.Write([]byte("another" + noise(largeLog)))
			return log
		}
		writes := 0
		h.before = func(context.Context, write) error {
			if writes++; writes > 2 {
				return errCrash
			}
			return nil
		}
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		Expect(partsIn(ctx)).To(HaveLen(2))
		h.logs.read = talks

		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		expectWhole(ctx, object, expectStored(ctx, object).Name)
		Expect(partsIn(ctx)).To(HaveLen(parts + 2))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	// lose has a part be lost once the results are stored and told of.
	DescribeTable("are stored again where a part does not survive until the Job is deleted", func(ctx SpecContext, lose func(context.Context, *corev1.ConfigMap)) {
		object, h := completed(ctx, aJob()), talkative()
		lost := false
		h.after = func(ctx context.Context, w write) error {
			if w.what == patchJob && !lost {
				lost = true
				lose(ctx, &partsIn(ctx)[1])
			}
			return nil
		}
		result := h.reconcile(ctx, object)
		Expect(lost).To(BeTrue())
		Expect(result.RequeueAfter).NotTo(BeZero())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		Expect(h.written()).NotTo(ContainElement(deleteJob))

		h.settle(ctx, object)

		expectGone(ctx, object)
		main := resultsIn(ctx)
		expectWhole(ctx, object, main[len(main)-1].Name)
	},
		Entry("it is deleted", func(ctx context.Context, part *corev1.ConfigMap) {
			Expect(kube.Delete(ctx, part)).To(Succeed())
		}),
		Entry("it is another one", func(ctx context.Context, part *corev1.ConfigMap) {
			Expect(kube.Delete(ctx, part)).To(Succeed())
			part.UID, part.ResourceVersion = "", ""
			part.BinaryData[api.DataLogsGzip][0]++
			Expect(kube.Create(ctx, part)).To(Succeed())
		}),
		Entry("it can be changed", func(ctx context.Context, part *corev1.ConfigMap) {
			Expect(kube.Delete(ctx, part)).To(Succeed())
			part.UID, part.ResourceVersion, part.Immutable = "", "", nil
			Expect(kube.Create(ctx, part)).To(Succeed())
		}),
	)

	It("keep a Job whose part was lost with its logs", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()
		h.after = func(ctx context.Context, w write) error {
			if w.what == patchJob {
				h.after = nil
				Expect(kube.Delete(ctx, &partsIn(ctx)[0])).To(Succeed())
				h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
			}
			return nil
		}
		h.reconcile(ctx, object)
		for range 3 {
			h.reconcile(ctx, object)
			h.step(logDeadline)
		}
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, HavePrefix(api.CaptureKeptPrefix)))
		Expect(warningsOf(ctx, object)).To(ContainElement(ContainSubstring("its parts are not whole")))
	})

	It("keep the Job while a part cannot be looked at", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()
		h.beforeRead = func(_ context.Context, key types.NamespacedName, wanted runtime.Object) error {
			if _, isConfigMap := wanted.(*corev1.ConfigMap); isConfigMap && strings.Contains(key.Name, "-part-2") {
				return apierrors.NewTimeoutError("too busy", 1)
			}
			return nil
		}
		_, err := h.pass(ctx, object)
		Expect(err).To(Satisfy(apierrors.IsTimeout))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())

		h.beforeRead = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(partsIn(ctx)).To(HaveLen(parts))
	})

	It("leave what has the name of a part to whom it belongs", func(ctx SpecContext) {
		other, h := finish(ctx, keeps("0")), talkative()
		h.settle(ctx, other)
		list, err := results.Decode(expectStored(ctx, other)).Parts()
		Expect(err).NotTo(HaveOccurred())
		// Of the names of its parts an other run has two, and a stranger one.
		Expect(kube.Delete(ctx, configMap(ctx, "job-results"))).To(Succeed())
		Expect(kube.Delete(ctx, configMap(ctx, list.Parts[1].Name))).To(Succeed())
		stranger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: list.Parts[1].Name}}
		Expect(kube.Create(ctx, stranger)).To(Succeed())
		Expect(kube.Delete(ctx, other, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Expect(kube.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0))).To(Succeed())
		object := finish(ctx, keeps("0"))

		h.settle(ctx, object)

		Expect(configMap(ctx, stranger.Name).ResourceVersion).To(Equal(stranger.ResourceVersion))
		expectWhole(ctx, object, expectStored(ctx, object).Name)
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("cannot hold a part of the results")))
	})

	It("leave no parts behind for a name that an earlier run has", func(ctx SpecContext) {
		earlier, h := finish(ctx, stamped(aJob().Label("pod", "0"))), talkative()
		h.settle(ctx, earlier)
		expectGone(ctx, earlier)
		object := finish(ctx, keeps("1"))

		h.settle(ctx, object)

		name := "job-results-" + string(object.UID)[:8]
		expectWhole(ctx, object, name)
		Expect(partsIn(ctx)).To(HaveLen(2 * parts))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	It("are stored without parts where no part is taken for its size", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()
		h.before = func(_ context.Context, w write) error {
			if cm, isConfigMap := w.object.(*corev1.ConfigMap); isConfigMap && cm.Labels[api.PartLabel] != "" {
				return &apierrors.StatusError{ErrStatus: metav1.Status{
					Status: metav1.StatusFailure, Code: http.StatusRequestEntityTooLarge, Reason: metav1.StatusReasonRequestEntityTooLarge,
				}}
			}
			return nil
		}
		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(partsIn(ctx)).To(BeEmpty())
		Expect(recordOf(expectStored(ctx, object)).Capture.Why).To(ContainSubstring(results.ReasonShortenedToFit))
	})

	It("keep the Job, with a Warning, where a quota has no room for parts", func(ctx SpecContext) {
		object, h := completed(ctx, aJob()), talkative()
		h.before = func(_ context.Context, w write) error {
			if cm, isConfigMap := w.object.(*corev1.ConfigMap); isConfigMap && cm.Labels[api.PartLabel] == "2" {
				return apierrors.NewForbidden(corev1.Resource("configmaps"), cm.Name, fmt.Errorf("exceeded quota: small"))
			}
			return nil
		}
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("exceeded quota")))

		h.before = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(partsIn(ctx)).To(HaveLen(parts))
	})
})
