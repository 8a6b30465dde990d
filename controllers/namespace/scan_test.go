package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/policy"
)

var _ = Describe("The search for Jobs that admission missed", func() {
	var (
		h *handler
		// namespace is opted in since an hour ago.
		namespace *corev1.Namespace
	)

	BeforeEach(func(ctx SpecContext) {
		h = newHandler()
		h.step(-time.Hour)
		namespace = create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		h.settle(ctx, namespace)
		h.step(time.Hour)
		h.writes = 0
	})

	// since dates the opt-in after all Jobs that there are.
	sinceNow := func(ctx context.Context) {
		GinkgoHelper()
		change(ctx, namespace, func(n *corev1.Namespace) {
			n.Annotations[api.EnabledSinceAnnotation] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		})
	}
	aJob := func(name string) *jobtest.JobBuilder { return jobtest.MakeJob(namespace.Name, name) }
	job := func(ctx context.Context, builder *jobtest.JobBuilder) *batchv1.Job {
		GinkgoHelper()
		object := builder.Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())
		return object
	}
	start := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		now := metav1.Now()
		object.Status.StartTime = &now
		Expect(kube.Status().Update(ctx, object)).To(Succeed())
		return object
	}
	finish := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		start(ctx, object)
		object.Status.CompletionTime = object.Status.StartTime
		object.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
		for _, kind := range versions.Ending(batchv1.JobComplete) {
			object.Status.Conditions = append(object.Status.Conditions, batchv1.JobCondition{
				Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: *object.Status.StartTime,
			})
		}
		Expect(kube.Status().Update(ctx, object)).To(Succeed())
		return object
	}
	jobNow := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		now := &batchv1.Job{}
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
		return now
	}
	expectStamped := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		now := jobNow(ctx, object)
		Expect(now.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		Expect(now.Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, object.Name+"-results"))
		return now
	}
	expectUntouched := func(ctx context.Context, object *batchv1.Job) {
		GinkgoHelper()
		Expect(jobNow(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
	}

	It("stamps a Job that runs, but not its pod template, which cannot change", func(ctx SpecContext) {
		object := start(ctx, job(ctx, aJob("job").TTL(10)))

		Expect(h.reconcile(ctx, namespace).RequeueAfter).To(Equal(scanInterval))

		now := expectStamped(ctx, object)
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		Expect(now.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, "10;raised=3600"))
		Expect(now.Spec.Template.Labels).NotTo(HaveKey(api.EnabledLabel))
	})

	It("stamps a suspended Job that never started, and its pod template", func(ctx SpecContext) {
		object := job(ctx, aJob("job").Suspended())
		h.reconcile(ctx, namespace)
		Expect(expectStamped(ctx, object).Spec.Template.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	})

	It("stamps a Job with a generated name", func(ctx SpecContext) {
		object := job(ctx, aJob("").GenerateName("nightly-"))
		h.reconcile(ctx, namespace)
		expectStamped(ctx, object)
	})

	It("stamps a Job that finished, if it was created since the Namespace opted in", func(ctx SpecContext) {
		object := finish(ctx, job(ctx, aJob("job")))
		h.reconcile(ctx, namespace)
		expectStamped(ctx, object)
	})

	It("stamps a Job that was there before the Namespace opted in, if it has not finished", func(ctx SpecContext) {
		object := start(ctx, job(ctx, aJob("job")))
		sinceNow(ctx)
		h.reconcile(ctx, namespace)
		expectStamped(ctx, object)
	})

	It("leaves a Job alone that had finished before, and reads it once", func(ctx SpecContext) {
		object := finish(ctx, job(ctx, aJob("job")))
		sinceNow(ctx)

		for range 3 {
			h.reconcile(ctx, namespace)
		}

		expectUntouched(ctx, object)
		Expect(h.jobReads).To(Equal(1))
		Expect(h.writes).To(BeZero())
	})

	It("reads a Job that had finished before again if the Namespace opted out and in", func(ctx SpecContext) {
		object := finish(ctx, job(ctx, aJob("job")))
		sinceNow(ctx)
		h.reconcile(ctx, namespace)
		change(ctx, namespace, notLabelled)
		h.settle(ctx, namespace)
		change(ctx, namespace, labelled(api.True))
		h.step(2 * time.Hour)
		h.settle(ctx, namespace)

		expectUntouched(ctx, object)
		Expect(h.jobReads).To(Equal(2))
	})

	It("stamps a Job that opted in by annotation only", func(ctx SpecContext) {
		object := job(ctx, aJob("job").Annotation(api.EnabledAnnotation, api.True))
		h.reconcile(ctx, namespace)
		expectStamped(ctx, object)
	})

	It("stamps a Job of a GitOps controller without touching its TTL", func(ctx SpecContext) {
		object := job(ctx, aJob("job").TTL(10).Annotation("argocd.argoproj.io/tracking-id", "app"))
		h.reconcile(ctx, namespace)
		Expect(expectStamped(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	It("stamps a Job with a mark of the operator's without touching its TTL", func(ctx SpecContext) {
		h.Options.Defaults.LeftAlone.Annotations = []policy.Mark{{Key: "example.com/source"}}
		object := job(ctx, aJob("job").TTL(10).Annotation("example.com/source", "git"))
		h.reconcile(ctx, namespace)
		Expect(expectStamped(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	It("is done once: a second search writes nothing, and reads no Job that is stamped", func(ctx SpecContext) {
		job(ctx, aJob("job"))
		h.reconcile(ctx, namespace)
		h.writes, h.jobReads = 0, 0

		h.reconcile(ctx, namespace)

		Expect(h.writes).To(BeZero())
		Expect(h.jobReads).To(BeZero())
	})

	DescribeTable("leaves a Job alone that opted out", func(ctx SpecContext, optOut func(*jobtest.JobBuilder) *jobtest.JobBuilder) {
		object := job(ctx, optOut(aJob("job").TTL(10)))
		h.reconcile(ctx, namespace)
		expectUntouched(ctx, object)
		Expect(h.writes).To(BeZero())
	},
		Entry("by label", func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Label(api.EnabledLabel, api.False) }),
		Entry("by annotation", func(b *jobtest.JobBuilder) *jobtest.JobBuilder {
			return b.Annotation(api.EnabledAnnotation, api.False)
		}),
	)

	It("gives a Job that opted out its own TTL back", func(ctx SpecContext) {
		object := job(ctx, aJob("job").TTL(3600).Annotation(api.TTLAnnotation, "10").Label(api.EnabledLabel, api.False))

		h.reconcile(ctx, namespace)

		now := jobNow(ctx, object)
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		Expect(now.Annotations).NotTo(HaveKey(api.TTLAnnotation))
		Expect(now.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.False))
	})

	It("lets a Job go that opted out with our finalizer on it", func(ctx SpecContext) {
		object := job(ctx, aJob("job").Label(api.EnabledLabel, api.False).Finalizer(api.ResultsFinalizer))
		deleted := job(ctx, aJob("deleted").Label(api.EnabledLabel, api.False).Finalizer(api.ResultsFinalizer))
		Expect(kube.Delete(ctx, deleted, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		h.reconcile(ctx, namespace)

		Expect(jobNow(ctx, object).Finalizers).To(BeEmpty())
		err := kube.Get(ctx, client.ObjectKeyFromObject(deleted), &batchv1.Job{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})

	DescribeTable("brings back to its label a Job that our finalizer holds", func(ctx SpecContext, bring func(context.Context, *batchv1.Job)) {
		object := job(ctx, aJob("job").Label("app", "batch").Finalizer(api.ResultsFinalizer))
		bring(ctx, object)

		h.reconcile(ctx, namespace)

		Expect(expectStamped(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
	},
		Entry("being deleted", func(ctx context.Context, object *batchv1.Job) {
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		}),
		Entry("finished, of a Namespace that opted in since", func(ctx context.Context, object *batchv1.Job) {
			finish(ctx, object)
			sinceNow(ctx)
		}),
	)

	It("leaves a Job alone that is being deleted", func(ctx SpecContext) {
		object := aJob("job").Obj()
		object.Finalizers = []string{"example.com/somebody-else"}
		Expect(kube.Create(ctx, object)).To(Succeed())
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		object = jobNow(ctx, object)

		h.reconcile(ctx, namespace)

		expectUntouched(ctx, object)
	})

	It("does not look into other Namespaces, nor into those that are not opted in", func(ctx SpecContext) {
		other := create(ctx, suite.Namespace())
		object := jobtest.MakeJob(other.Name, "job").Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())

		h.reconcile(ctx, namespace)
		Expect(h.reconcile(ctx, other).RequeueAfter).To(BeZero())

		expectUntouched(ctx, object)
	})

	It("goes through all pages", func(ctx SpecContext) {
		var group errgroup.Group
		group.SetLimit(16)
		for i := range 505 {
			object := aJob(fmt.Sprintf("a-%d", i)).Label(api.EnabledLabel, api.False).Obj()
			group.Go(func() error { return kube.Create(ctx, object) })
		}
		Expect(group.Wait()).To(Succeed())
		last := job(ctx, aJob("z"))

		h.reconcile(ctx, namespace)

		expectStamped(ctx, last)
		Expect(h.jobReads).To(Equal(1))
	})

	It("goes on where one Job cannot be changed, and comes back to that", func(ctx SpecContext) {
		a, b, c := job(ctx, aJob("a")), job(ctx, aJob("b")), job(ctx, aJob("c"))
		h.before = func(_ context.Context, object client.Object) error {
			if object.GetName() == "b" {
				return errors.New("connection lost")
			}
			return nil
		}
		Expect(h.reconcile(ctx, namespace).RequeueAfter).To(BeNumerically("<", time.Minute), "until the next scan")
		expectStamped(ctx, a)
		expectUntouched(ctx, b)
		expectStamped(ctx, c)

		h.before = nil
		Expect(h.reconcile(ctx, namespace).RequeueAfter).To(Equal(scanInterval))
		expectStamped(ctx, b)
	})

	It("leaves a Job that people have to look after to the next scan, with a Warning", func(ctx SpecContext) {
		object := job(ctx, aJob("job"))
		h.before = func(_ context.Context, written client.Object) error {
			if _, isJob := written.(*batchv1.Job); isJob {
				return apierrors.NewForbidden(batchv1.Resource("jobs"), "job", errors.New("labels are fixed here"))
			}
			return nil
		}
		for range 2 {
			Expect(h.reconcile(ctx, namespace).RequeueAfter).To(Equal(scanInterval))
		}
		expectUntouched(ctx, object)
		var sent eventsv1.EventList
		Expect(kube.List(ctx, &sent, client.InNamespace(namespace.Name))).To(Succeed())
		Expect(sent.Items).To(ConsistOf(And(
			HaveField("Regarding.Name", "job"), HaveField("Note", ContainSubstring("labels are fixed here")))))
	})

	It("stamps a Job that its controller writes to at the same time", func(ctx SpecContext) {
		object := job(ctx, aJob("job"))
		h.before = func(ctx context.Context, _ client.Object) error {
			h.before = nil
			start(ctx, object)
			return nil
		}
		Expect(h.reconcile(ctx, namespace).RequeueAfter).To(Equal(scanInterval))
		expectStamped(ctx, object)
	})

	It("does not stamp what changed since it was read", func(ctx SpecContext) {
		object := job(ctx, aJob("job"))
		h.before = func(ctx context.Context, _ client.Object) error {
			h.before = nil
			now := jobNow(ctx, object)
			metav1.SetMetaDataLabel(&now.ObjectMeta, api.EnabledLabel, api.False)
			return kube.Update(ctx, now)
		}
		for range 2 {
			h.reconcile(ctx, namespace)
		}
		Expect(jobNow(ctx, object).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.False))
	})

	It("does not take a Job for another that had its name when it was listed", func(ctx SpecContext) {
		old := job(ctx, aJob("job").Annotation(api.TTLAnnotation, "10").Label(api.EnabledLabel, api.False))
		var successor *batchv1.Job
		h.beforeJob = func(ctx context.Context, _ types.NamespacedName) error {
			h.beforeJob = nil
			if err := kube.Delete(ctx, old, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
				return err
			}
			successor = job(ctx, aJob("job").TTL(3600).Annotation(api.TTLAnnotation, "10"))
			return nil
		}

		h.reconcile(ctx, namespace)

		expectUntouched(ctx, successor)
	})

	It("does not mind a Job that went away", func(ctx SpecContext) {
		gone, other := job(ctx, aJob("a")), job(ctx, aJob("b"))
		h.beforeJob = func(ctx context.Context, _ types.NamespacedName) error {
			h.beforeJob = nil
			return kube.Delete(ctx, gone, client.PropagationPolicy(metav1.DeletePropagationBackground))
		}
		h.reconcile(ctx, namespace)
		expectStamped(ctx, other)
	})

	It("is tried again by the queue where the API server does not answer", func(ctx SpecContext) {
		object := job(ctx, aJob("job"))
		h.list = apierrors.NewTooManyRequests("later", 1)
		_, err := h.pass(ctx, namespace)
		Expect(err).To(Satisfy(apierrors.IsTooManyRequests))

		h.list = nil
		h.reconcile(ctx, namespace)
		expectStamped(ctx, object)
	})
})
