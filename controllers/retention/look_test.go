package retention_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/retention"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/retain"
)

var _ = Describe("A look at all results", func() {
	It("deletes those whose time has come, and no others", func(ctx SpecContext) {
		aRun("old").expires(-time.Hour).stored(ctx)
		aRun("just").expires(-time.Second).stored(ctx)
		aRun("later").expires(time.Hour).stored(ctx)
		aRun("for-ever").stored(ctx)
		aRun("malformed").stored(ctx, func(o client.Object) { o.GetAnnotations()[api.ExpiresAtAnnotation] = "tomorrow" })
		p := newProcess()

		p.looks(ctx)

		Expect(present(ctx)).To(ConsistOf("for-ever-results", "later-results", "malformed-results"))
		Expect(p.deletions()).To(ConsistOf("old-results", "just-results"))
		Expect(p.counted("job_handler_retention_deleted_total", "expired")).To(BeEquivalentTo(2))
		Expect(p.counted("job_handler_retention_malformed_results")).To(BeNumerically(">=", 1))
		Expect(p.counted("job_handler_retention_passes_total", "complete")).To(BeEquivalentTo(1))

		p.looks(ctx)
		Expect(p.deletions()).To(HaveLen(2))
	})

	It("keeps of each CronJob as many as are wanted, success and failure apart", func(ctx SpecContext) {
		for i := range 4 {
			ago := time.Duration(i+1) * time.Hour
			aRun(fmt.Sprintf("good-%d", i)).of("nightly", ago).stored(ctx)
			aRun(fmt.Sprintf("bad-%d", i)).of("nightly", ago).stored(ctx, func(o client.Object) {
				o.GetLabels()[api.StatusLabel] = api.StatusFailed
			})
			aRun(fmt.Sprintf("by-hand-%d", i)).stored(ctx)
		}
		aRun("hourly").of("hourly", 100*time.Hour).stored(ctx)
		p := newProcess(func(o *retention.Options) { o.KeepCompleted, o.KeepFailed = 1, 3 })

		p.looks(ctx)
		p.looks(ctx)

		Expect(p.deletions()).To(ConsistOf("good-1-results", "good-2-results", "good-3-results", "bad-3-results"))
		Expect(p.counted("job_handler_retention_deleted_total", "surplus")).To(BeEquivalentTo(4))
	})

	It("reads a list of several pages", func(ctx SpecContext) {
		content, _ := aRun("many").expires(-time.Hour).parts(ctx)
		for i := range 520 {
			object := content.Object(api.ResultsKindConfigMap, namespace, fmt.Sprintf("many-%d-results", i)).Encode().DeepCopyObject().(client.Object)
			Expect(kube.Create(ctx, object)).To(Succeed())
		}
		p := newProcess()
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
		Expect(p.deletions()).To(HaveLen(520))
	}, SpecTimeout(specTimeout))

	It("counts what results take in each namespace, and what it deletes", func(ctx SpecContext) {
		stored := aRun("large").large().stored(ctx)
		p := newProcess()

		p.looks(ctx)

		Expect(p.counted("job_handler_results_bytes", namespace)).To(BeNumerically(">", 2_300_000))
		Expect(p.Store.Holdings.Over(namespace)).To(Equal(retain.NamespaceBudget))
		from := stored.DeepCopyObject().(client.Object)
		stored.GetAnnotations()[api.ExpiresAtAnnotation] = p.clock.Now().Format(time.RFC3339)
		Expect(kube.Patch(ctx, stored, client.MergeFrom(from))).To(Succeed())
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
		Expect(p.counted("job_handler_results_bytes", namespace)).To(BeZero())
		Expect(p.Store.Holdings.Over(namespace)).To(Equal(retain.WithinBudget))
	})

	DescribeTable("leaves alone what only looks like results", func(ctx SpecContext, change func(client.Object)) {
		aRun("theirs").expires(-time.Hour).stored(ctx, change)
		p := newProcess()
		p.looks(ctx)
		var list corev1.ConfigMapList
		Expect(kube.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		Expect(list.Items).To(HaveLen(1))
		Expect(p.attempts()).To(BeEmpty())
	},
		Entry("a mutable one with our labels", func(o client.Object) { o.(*corev1.ConfigMap).Immutable = nil }),
		Entry("one that says it is mutable", func(o client.Object) { o.(*corev1.ConfigMap).Immutable = new(false) }),
		Entry("one that is not labelled as ours", func(o client.Object) { delete(o.GetLabels(), api.CreatedLabel) }),
		Entry("one of no run", func(o client.Object) { delete(o.GetLabels(), api.JobUIDLabel) }),
		Entry("one that a Job owns, as captures of deleted pods are", func(o client.Object) {
			o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "theirs", UID: "1-2-3"}})
		}),
	)

	It("leaves alone a part that is mutable, whatever results list", func(ctx SpecContext) {
		run := aRun("large").large().expires(-time.Hour)
		content, parts := run.parts(ctx)
		run.put(ctx, content, run.name)
		part := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: namespace, Name: parts[0]}
		Expect(kube.Get(ctx, key, part)).To(Succeed())
		Expect(kube.Delete(ctx, part)).To(Succeed())
		part.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: part.Name, Labels: part.Labels, Annotations: part.Annotations}
		part.Immutable = nil
		Expect(kube.Create(ctx, part)).To(Succeed())

		p := newProcess()
		p.looks(ctx)
		p.clock.Step(2 * time.Hour)
		p.looks(ctx)

		Expect(present(ctx)).To(ConsistOf(parts[0]))
		Expect(p.attempts()).To(ConsistOf(run.name, parts[1], parts[2]))
	})

	DescribeTable("leaves alone what results list that is not a part of theirs", func(ctx SpecContext, other func(SpecContext, *storedRun) string) {
		run := aRun("large").large().expires(-time.Hour)
		content, parts := run.parts(ctx)
		theirs := other(ctx, run)
		Expect(content.ListParts([]string{parts[0], theirs, parts[2]})).To(Succeed())
		run.put(ctx, content, run.name)
		p := newProcess()

		p.looks(ctx)

		Expect(p.attempts()).To(ConsistOf(run.name, parts[0], parts[2]))
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: theirs}, &corev1.ConfigMap{})).To(Succeed())
	},
		Entry("somebody's, immutable", func(ctx SpecContext, _ *storedRun) string {
			theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}, Immutable: new(true)}
			Expect(kube.Create(ctx, theirs)).To(Succeed())
			return theirs.Name
		}),
		Entry("other results", func(ctx SpecContext, _ *storedRun) string { return aRun("other").stored(ctx).GetName() }),
		Entry("a part of the same run's results of another name", func(ctx SpecContext, run *storedRun) string {
			again := *run
			again.name += "-again"
			_, parts := again.parts(ctx)
			return parts[0]
		}),
		Entry("a part of another run's results of the same name", func(ctx SpecContext, run *storedRun) string {
			_, parts := aRun(run.run.Job.Name).large().parts(ctx)
			return parts[0]
		}),
	)

	It("deletes no surplus that changed after it was listed, until it is listed again", func(ctx SpecContext) {
		aRun("new").of("nightly", time.Hour).stored(ctx)
		aRun("old").of("nightly", 2*time.Hour).stored(ctx)
		p := newProcess(func(o *retention.Options) { o.KeepCompleted = 1 })
		p.beforeGet = func(ctx context.Context, key client.ObjectKey) error {
			if key.Name != "old-results" {
				return nil
			}
			old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
			return kube.Patch(ctx, old, client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"labels":{"job-handler/cronjob":"another"}}}`)))
		}
		p.looks(ctx)
		Expect(p.attempts()).To(BeEmpty())

		p.beforeGet = nil
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf("new-results", "old-results"), "they are of two CronJobs now")
	})

	It("deletes nothing that changed after it was looked at", func(ctx SpecContext) {
		aRun("pinned").expires(-time.Hour).stored(ctx)
		p := newProcess()
		p.beforeDelete = func(ctx context.Context, object client.Object) error {
			return kube.Patch(ctx, object.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"annotations":{"job-handler/expires-at":null}}}`)))
		}

		p.looks(ctx)

		Expect(present(ctx)).To(ConsistOf("pinned-results"))
		p.beforeDelete = nil
		p.clock.Step(10 * time.Minute)
		Expect(p.RemoveDue(ctx)).To(Succeed())
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf("pinned-results"))
	})

	It("deletes what others have deleted meanwhile without a word", func(ctx SpecContext) {
		aRun("a").expires(-time.Hour).stored(ctx)
		aRun("b").expires(-time.Hour).stored(ctx)
		p := newProcess()
		p.beforeDelete = func(ctx context.Context, object client.Object) error {
			if object.GetName() == "a-results" {
				return kube.Delete(ctx, object.DeepCopyObject().(client.Object))
			}
			return nil
		}
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
		Expect(p.deletions()).To(HaveExactElements("b-results"))
	})
})

var _ = Describe("Parts", func() {
	It("go with the results that list them", func(ctx SpecContext) {
		aRun("large").large().expires(-time.Hour).stored(ctx)
		aRun("other").large().stored(ctx)
		Expect(present(ctx)).To(HaveLen(8))
		p := newProcess()

		p.looks(ctx)

		left := present(ctx)
		Expect(left).To(HaveLen(4))
		Expect(left).To(HaveEach(HavePrefix("other-results")))
		Expect(p.deletions()[0]).To(Equal("large-results"), "the results go first")
		Expect(p.counted("job_handler_retention_deleted_total", "part")).To(BeEquivalentTo(3))
	})

	It("are found after a crash between them and their results", func(ctx SpecContext) {
		aRun("large").large().expires(-time.Hour).stored(ctx)
		p := newProcess()
		stop, cancel := context.WithCancel(ctx)
		p.beforeDelete = func(_ context.Context, object client.Object) error {
			if strings.Contains(object.GetName(), "-part-1-") {
				cancel()
			}
			return nil
		}
		Expect(p.Look(stop)).To(MatchError(context.Canceled))
		Expect(present(ctx)).To(HaveLen(2))

		next := newProcess()
		next.looks(ctx)
		Expect(present(ctx)).To(HaveLen(2), "they are young")
		next.clock.Step(61 * time.Minute)
		next.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
		Expect(next.counted("job_handler_retention_deleted_total", "orphan")).To(BeEquivalentTo(2))
	})

	It("that nobody lists go after an hour, those that are listed stay", func(ctx SpecContext) {
		run := aRun("large").large()
		content, listed := run.parts(ctx)
		run.put(ctx, content, run.name)
		// Another try of the same run, that was never finished.
		other := *run
		other.large()
		other.run.Pods = slices.Clone(run.run.Pods)
		other.run.Pods[0].Logs[0].Packed = aRun("other").large().run.Pods[0].Logs[0].Packed
		other.run.Pods[0].Logs[0].Text = aRun("another").large().run.Pods[0].Logs[0].Text
		_, orphans := other.parts(ctx)
		Expect(orphans).NotTo(BeEmpty())
		p := newProcess()

		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf(append(append([]string{"large-results"}, listed...), orphans...)))
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		p.looks(ctx)

		Expect(present(ctx)).To(ConsistOf(append([]string{"large-results"}, listed...)))
		Expect(p.deletions()).To(ConsistOf(orphans))
	})

	It("whose results a user deleted go, also where they were known to be listed", func(ctx SpecContext) {
		stored := aRun("large").large().stored(ctx)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		Expect(present(ctx)).To(HaveLen(4))
		Expect(kube.Delete(ctx, stored)).To(Succeed())

		p.looks(ctx)

		Expect(present(ctx)).To(BeEmpty())
	})

	It("of a run whose name another run has by now are orphans", func(ctx SpecContext) {
		aRun("daily").large().parts(ctx)
		aRun("daily").stored(ctx)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf("daily-results"))
	})

	It("of a run whose name another run has by now are orphans, whatever that one lists", func(ctx SpecContext) {
		_, parts := aRun("daily").large().parts(ctx)
		next := aRun("daily").large()
		content, own := next.parts(ctx)
		Expect(content.ListParts([]string{parts[0], own[1], own[2]})).To(Succeed())
		next.put(ctx, content, next.name)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf(next.name, own[1], own[2]))
	})

	It("stay where it cannot be read what results list", func(ctx SpecContext) {
		run := aRun("large").large()
		content, parts := run.parts(ctx)
		content.Data[api.DataParts] = "{"
		run.put(ctx, content, run.name)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf(append(parts, run.name)))
	})

	It("stay while nobody answers what their results list", func(ctx SpecContext) {
		run := aRun("large").large()
		content, parts := run.parts(ctx)
		run.put(ctx, content, run.name)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.beforeGet = func(_ context.Context, key client.ObjectKey) error {
			if key.Name == run.name {
				return errAway
			}
			return nil
		}
		Expect(p.Look(ctx)).To(MatchError(errAway))
		Expect(present(ctx)).To(ConsistOf(append(parts, run.name)))
	})

	It("that were written anew since they were listed stay", func(ctx SpecContext) {
		_, parts := aRun("large").large().parts(ctx)
		p := newProcess()
		p.clock.Step(61 * time.Minute)
		p.beforeGet = func(ctx context.Context, key client.ObjectKey) error {
			if key.Name != parts[0] {
				return nil
			}
			p.beforeGet = nil
			part := &corev1.ConfigMap{}
			Expect(kube.Get(ctx, key, part)).To(Succeed())
			Expect(kube.Delete(ctx, part)).To(Succeed())
			part.ObjectMeta = metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: part.Labels, Annotations: part.Annotations}
			return kube.Create(ctx, part)
		}
		p.looks(ctx)
		Expect(present(ctx)).To(ConsistOf(parts[0]))
	})

	It("in Secrets go too", func(ctx SpecContext) {
		Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
		aRun("large").large().inSecret().expires(-time.Hour).stored(ctx)
		aRun("orphaned").large().inSecret().parts(ctx)
		p := newProcess()
		p.looks(ctx)
		Expect(presentSecrets(ctx)).To(HaveLen(3))
		p.clock.Step(61 * time.Minute)
		p.looks(ctx)
		Expect(presentSecrets(ctx)).To(BeEmpty())
	})
})
