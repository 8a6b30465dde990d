package job_test

import (
	"context"
	"maps"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
)

var _ = Describe("A finished Job that somebody else looks after", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	others := map[string]func(*jobtest.JobBuilder) *jobtest.JobBuilder{
		"another owner": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.OwnedBy("example.com/v1", "Workflow", "etl", "0b5ee9b1-0000-0000-0000-000000000000")
		},
		"a CronJob of another group": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.OwnedBy("example.com/v1", "CronJob", "etl", "0b5ee9b1-0000-0000-0000-000000000000")
		},
		"another manager": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			versions.Need(GinkgoT(), versions.ManagedBy)
			return b.ManagedBy("kueue.x-k8s.io/multikueue")
		},
		"Argo CD": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Annotation("argocd.argoproj.io/tracking-id", "app")
		},
		"Argo CD's hooks": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Annotation("argocd.argoproj.io/hook", "Sync")
		},
		"Flux's Kustomize": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Label("kustomize.toolkit.fluxcd.io/name", "app")
		},
		"Flux's Helm": func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Label("helm.toolkit.fluxcd.io/name", "app") },
		"Helm": func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Annotation("meta.helm.sh/release-name", "app")
		},
		"Helm's hooks": func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Annotation("helm.sh/hook", "post-install") },
	}

	for _, who := range slices.Sorted(maps.Keys(others)) {
		by := others[who]

		It("is stored and kept: "+who, func(ctx SpecContext) {
			annotateNamespace(ctx, api.DeleteAfterSuccessAnnotation, "0s")
			object := completed(ctx, by(aJob()))
			before := read(ctx, object)

			h.settle(ctx, object)

			expectStored(ctx, object)
			left := read(ctx, object)
			Expect(left.DeletionTimestamp).To(BeNil())
			Expect(left.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted))
			Expect(left.Spec).To(Equal(before.Spec))
			Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		})

		It("is deleted where it says so itself: "+who, func(ctx SpecContext) {
			object := completed(ctx, by(aJob()).Annotation(api.DeleteAfterSuccessAnnotation, "0s"))

			h.settle(ctx, object)

			expectStored(ctx, object)
			expectGone(ctx, object)
		})

		It("has its own TTL back, no other: "+who, func(ctx SpecContext) {
			annotateNamespace(ctx, api.DeleteAfterFailureAnnotation, "5h")
			object := failed(ctx, by(aJob().TTL(10)))

			h.settle(ctx, object)

			left := read(ctx, object)
			Expect(left.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
			Expect(left.Annotations).NotTo(HaveKey(api.TTLAnnotation))
		})
	}

	It("is ours where the API server drops managedBy, so that Kubernetes runs it", func(ctx SpecContext) {
		object := completed(ctx, aJob().ManagedBy("kueue.x-k8s.io/multikueue"))
		h.settle(ctx, object)
		if versions.Has(versions.ManagedBy) {
			Expect(read(ctx, object).Spec.ManagedBy).To(HaveValue(Equal("kueue.x-k8s.io/multikueue")))
		} else {
			expectGone(ctx, object)
		}
	})

	It("is ours if managedBy names Kubernetes' own controller", func(ctx SpecContext) {
		object := completed(ctx, aJob().ManagedBy(batchv1.JobControllerName))
		h.settle(ctx, object)
		expectGone(ctx, object)
	})
})

var _ = Describe("A finished Job of a CronJob", func() {
	var (
		h       *handler
		cronJob *batchv1.CronJob
	)

	BeforeEach(func(ctx SpecContext) {
		h = newHandler()
		cronJob = jobtest.MakeCronJob(namespace, "nightly").Obj()
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
	})

	child := func() *jobtest.JobBuilder {
		return aJobCalled("nightly-1").OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID)
	}
	// note has the CronJob controller see what it sees.
	note := func(ctx context.Context, lastSuccess *metav1.Time, active ...types.UID) {
		GinkgoHelper()
		cronJob.Status.LastSuccessfulTime, cronJob.Status.Active = lastSuccess, nil
		for _, uid := range active {
			cronJob.Status.Active = append(cronJob.Status.Active, corev1.ObjectReference{UID: uid, Name: "nightly-1", Namespace: namespace})
		}
		Expect(kube.Status().Update(ctx, cronJob)).To(Succeed())
	}
	expectWaiting := func(ctx context.Context, object *batchv1.Job) {
		GinkgoHelper()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", 5*time.Second)))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	}

	It("is stored at once, and deleted when its CronJob has taken note", func(ctx SpecContext) {
		object := completed(ctx, child())
		note(ctx, nil, object.UID)

		expectWaiting(ctx, object)
		Expect(expectStored(ctx, object).Labels).To(HaveKeyWithValue(api.CronJobLabel, "nightly"))
		Expect(recordOf(expectStored(ctx, object)).Job.CronJob).To(Equal("nightly"))
		expectWaiting(ctx, object)

		note(ctx, object.Status.CompletionTime, object.UID)
		expectWaiting(ctx, object)

		note(ctx, &metav1.Time{Time: object.Status.CompletionTime.Add(-time.Minute)})
		expectWaiting(ctx, object)

		note(ctx, object.Status.CompletionTime)
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("is not written to while its CronJob has not taken note", func(ctx SpecContext) {
		object := completed(ctx, child())
		note(ctx, nil, object.UID)
		expectWaiting(ctx, object)
		h.forgetWrites()

		for range 5 {
			expectWaiting(ctx, object)
			h.step(time.Minute)
		}
		Expect(h.written()).To(BeEmpty())
	})

	It("is deleted if a later run's success has been noted", func(ctx SpecContext) {
		object := completed(ctx, child())
		note(ctx, &metav1.Time{Time: object.Status.CompletionTime.Add(time.Hour)})
		h.settle(ctx, object)
		expectGone(ctx, object)
	})

	It("is kept if it failed", func(ctx SpecContext) {
		object := failed(ctx, child())
		h.settle(ctx, object)
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
	})

	It("is deleted after its failure where it is asked to be, once it is not active any more", func(ctx SpecContext) {
		object := failed(ctx, child().Annotation(api.DeleteAfterFailureAnnotation, "0s"))
		note(ctx, nil, object.UID)
		expectWaiting(ctx, object)

		note(ctx, nil)
		h.settle(ctx, object)
		expectGone(ctx, object)
	})

	DescribeTable("is deleted if its CronJob", func(ctx SpecContext, replaced bool) {
		object := completed(ctx, child())
		Expect(kube.Delete(ctx, cronJob)).To(Succeed())
		if replaced {
			Expect(kube.Create(ctx, jobtest.MakeCronJob(namespace, "nightly").Obj())).To(Succeed())
		}

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	},
		Entry("is gone", false),
		Entry("is another one by now", true),
	)

	It("stays while it cannot be known whether its CronJob has taken note", func(ctx SpecContext) {
		object := completed(ctx, child())
		note(ctx, object.Status.CompletionTime)
		away := true
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, wanted runtime.Object) error {
			if _, isCronJob := wanted.(*batchv1.CronJob); isCronJob && away {
				return errCrash
			}
			return nil
		}
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())

		away = false
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("is kept if somebody else owns it as well", func(ctx SpecContext) {
		builder := child()
		object := builder.Obj()
		object.OwnerReferences = append(object.OwnerReferences, metav1.OwnerReference{
			APIVersion: "example.com/v1", Kind: "Pipeline", Name: "p", UID: "1",
		})
		object = completed(ctx, builder)
		note(ctx, object.Status.CompletionTime)

		h.settle(ctx, object)

		expectStored(ctx, object)
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})

	It("has its delay, and needs nobody's note for it", func(ctx SpecContext) {
		object := completed(ctx, child().Annotation(api.DeleteAfterSuccessAnnotation, "10s"))
		h.settle(ctx, object)
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})
})
