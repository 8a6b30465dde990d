package retention_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/retain"
)

// captures creates an object that keeps captures of a Job, of 1,000 bytes.
func captures(ctx context.Context, job *batchv1.Job, number int, change ...func(*corev1.ConfigMap)) string {
	GinkgoHelper()
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: names.Capture(job.Name, job.UID, number),
			Labels:      map[string]string{api.CreatedLabel: api.True, api.CaptureOfLabel: string(job.UID)},
			Annotations: map[string]string{api.BytesAnnotation: "1000"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID,
			}},
		},
		Immutable: new(true), BinaryData: map[string][]byte{"logs.gz": make([]byte, 1000)},
	}
	for _, f := range change {
		f(cm)
	}
	Expect(kube.Create(ctx, cm)).To(Succeed())
	return cm.Name
}

var _ = Describe("A look at captures", func() {
	// kept creates a Job that has failed, whose results are stored and told.
	kept := func(ctx SpecContext, name string) *batchv1.Job {
		GinkgoHelper()
		job := aJob(ctx, jobtest.MakeJob(namespace, name).Label(api.EnabledLabel, api.True))
		ends(ctx, job, batchv1.JobFailed)
		report(ctx, job, api.StatusFailed)
		return job
	}
	// afterAnHour returns a process for which what is there is old.
	afterAnHour := func() *process {
		p := newProcess()
		p.clock.Step(retain.CaptureAge + time.Minute)
		return p
	}

	It("counts them, and deletes those of Jobs whose results are stored", func(ctx SpecContext) {
		stored := kept(ctx, "stored")
		first, second := captures(ctx, stored, 0), captures(ctx, stored, 1)
		running := aJob(ctx, jobtest.MakeJob(namespace, "running").Label(api.EnabledLabel, api.True))
		captures(ctx, running, 0)
		unstored := aJob(ctx, jobtest.MakeJob(namespace, "unstored").Label(api.EnabledLabel, api.True))
		ends(ctx, unstored, batchv1.JobFailed)
		captures(ctx, unstored, 0)
		captures(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "gone", UID: "gone"}}, 0)
		captures(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "stored", UID: types.UID("another-run")}}, 0)
		forged := aJob(ctx, jobtest.MakeJob(namespace, "forged").Label(api.EnabledLabel, api.True))
		report(ctx, forged, api.StatusFailed)
		captures(ctx, forged, 0)
		mutable := captures(ctx, stored, 2, func(cm *corev1.ConfigMap) { cm.Immutable = nil })

		p := newProcess()
		p.looks(ctx)
		Expect(p.attempts()).To(BeEmpty(), "the Job controller may be about to delete them")
		Expect(p.counted("job_handler_retention_objects", string(retain.Captured))).To(BeNumerically(">=", 8))
		Expect(p.counted("job_handler_results_bytes", namespace)).To(BeEquivalentTo(8000))

		p.clock.Step(retain.CaptureAge + time.Minute)
		p.looks(ctx)
		Expect(p.attempts()).To(ConsistOf(first, second))
		Expect(present(ctx)).To(ContainElement(mutable))
		Expect(p.counted("job_handler_retention_deleted_total", string(retain.ReasonCapture))).To(BeEquivalentTo(2))
		Expect(p.counted("job_handler_results_bytes", namespace)).To(BeEquivalentTo(6000))

		p.looks(ctx)
		Expect(p.attempts()).To(HaveLen(2))
	})

	It("leaves those that changed meanwhile, or of a Job that is stored again", func(ctx SpecContext) {
		changed, lost := kept(ctx, "changed"), kept(ctx, "lost")
		name := captures(ctx, changed, 0)
		captures(ctx, lost, 0)
		// The manager deletes this Job next, and checks its results before.
		from := lost.DeepCopy()
		metav1.SetMetaDataAnnotation(&lost.ObjectMeta, api.DeleteAfterFailureAnnotation, "0s")
		Expect(kube.Patch(ctx, lost, client.MergeFrom(from))).To(Succeed())
		p := afterAnHour()
		p.beforeDelete = func(ctx context.Context, object client.Object) error {
			defer GinkgoRecover()
			touched := &corev1.ConfigMap{}
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), touched)).To(Succeed())
			touched.Labels["touched"] = "yes"
			return kube.Update(ctx, touched)
		}

		p.looks(ctx)
		Expect(p.attempts()).To(ConsistOf(name))
		Expect(present(ctx)).To(HaveLen(2))

		p.beforeDelete = nil
		p.looks(ctx)
		Expect(present(ctx)).To(HaveLen(1))
	})

	It("goes on after an API server that is busy", func(ctx SpecContext) {
		for i := range 3 {
			captures(ctx, kept(ctx, "busy-"+strconv.Itoa(i)), 0)
		}
		p := afterAnHour()
		p.beforeDelete = func(context.Context, client.Object) error { return errors.New("busy") }
		Expect(p.Look(ctx)).To(MatchError(ContainSubstring("busy")))
		p.beforeDelete = nil
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty(), fmt.Sprint(p.deletions()))
	})
})
