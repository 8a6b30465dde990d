package e2e

import (
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// cronJob: the Job of a CronJob is deleted once the CronJob has taken note of
// its success, so that lastSuccessfulTime goes on and nobody is alarmed. One
// that failed stays in the CronJob's history.
func cronJob(s *story) {
	s.optedIn()
	nightly := jobtest.MakeCronJob(s.namespace, "nightly").Script("echo backed up").
		Concurrency(batchv1.ForbidConcurrent).Obj()
	s.create(nightly)
	broken := jobtest.MakeCronJob(s.namespace, "broken").Script("echo disk full; exit 1").BackoffLimit(0).
		Concurrency(batchv1.ForbidConcurrent).Obj()
	s.create(broken)
	// One run of each is enough, and more would outlive the story.
	succeeded, failed := s.firstRun(nightly), s.firstRun(broken)

	s.gone(succeeded)
	r := s.stored(succeeded)
	s.complete(r)
	s.Expect(r.record.Job.CronJob).To(Equal(nightly.Name))
	s.Expect(r.texts()).To(HaveExactElements("backed up\n"))
	s.Expect(s.told(succeeded, corev1.EventTypeNormal)).To(HaveExactElements(ContainSubstring("deleted now")))
	s.refresh(nightly)
	s.Expect(nightly.Status.LastSuccessfulTime).NotTo(BeNil())
	s.Expect(nightly.Status.LastSuccessfulTime.Time).To(BeTemporally(">=", s.at(r, api.DataCompletionTime)))
	s.Expect(nightly.Status.Active).NotTo(ContainElement(HaveField("UID", succeeded.UID)))
	s.Expect(s.alarms(nightly)).To(BeEmpty())

	failed = s.reported(failed)
	s.Expect(failed.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
	r = s.stored(failed)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("disk full\n"))
	s.kept(failed)
	s.refresh(broken)
	s.Expect(broken.Status.LastSuccessfulTime).To(BeNil())
	s.Expect(broken.Status.Active).NotTo(ContainElement(HaveField("UID", failed.UID)))
	s.Expect(s.alarms(broken)).To(BeEmpty())
}

// firstRun waits until the results of a CronJob's first Job are there, suspends
// the CronJob and returns the Job, by name and UID.
func (s *story) firstRun(cronJob *batchv1.CronJob) *batchv1.Job {
	s.t.Helper()
	var found corev1.ConfigMapList
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.List(s.ctx(), &found, client.InNamespace(s.namespace),
			client.MatchingLabels{api.CronJobLabel: cronJob.Name})).To(Succeed())
		g.Expect(found.Items).NotTo(BeEmpty())
	})
	s.refresh(cronJob)
	s.change(cronJob, func() { cronJob.Spec.Suspend = new(true) })
	labels := found.Items[0].Labels
	job := &batchv1.Job{}
	job.Namespace, job.Name, job.UID = s.namespace, labels[api.JobNameLabel], types.UID(labels[api.JobUIDLabel])
	return job
}

// alarms returns the Warnings about an object, whoever sent them.
func (s *story) alarms(about client.Object) []string {
	s.t.Helper()
	var list eventsv1.EventList
	s.Expect(s.w.client.List(s.ctx(), &list, client.InNamespace(s.namespace))).To(Succeed())
	var notes []string
	for _, event := range list.Items {
		if event.Regarding.UID == about.GetUID() && event.Type == corev1.EventTypeWarning {
			notes = append(notes, event.Reason+": "+event.Note)
		}
	}
	return notes
}

// owned: a Job that something else owns is stored like any other, and left to
// its owner.
func owned(s *story) {
	s.optedIn()
	owner := &corev1.ConfigMap{}
	owner.Namespace, owner.Name = s.namespace, "workflow"
	s.create(owner)
	job := s.start(s.job("step", "echo step done").OwnedBy("v1", "ConfigMap", owner.Name, owner.UID))

	s.leftAlone(job, "it is owned by ConfigMap workflow")
	s.Expect(s.stored(job).texts()).To(HaveExactElements("step done\n"))
}

// tracked: a Job that Argo CD looks after is stored like any other; neither is
// it deleted, nor is its spec changed, which would be drift.
func tracked(s *story) {
	s.optedIn()
	job := s.start(s.job("migrate", "echo migrated").TTL(600).
		Annotation("argocd.argoproj.io/tracking-id", "shop:batch/Job:"+s.namespace+"/migrate"))
	s.Expect(job.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(600)))

	s.leftAlone(job, "it is tracked (Argo CD)")
	s.Expect(s.stored(job).texts()).To(HaveExactElements("migrated\n"))
	s.Expect(s.now(s, job).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(600)))
}

// leftAlone wants the completed Job to be reported and kept.
func (s *story) leftAlone(job *batchv1.Job, why string) {
	s.t.Helper()
	reported := s.reported(job)
	s.Expect(reported.Annotations).To(And(
		HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted),
		HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete),
	))
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveExactElements(
		"Job completed; results stored in ConfigMap " + job.Name + "-results; the Job is left alone: " + why))
	s.kept(job)
}
