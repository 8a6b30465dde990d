package e2e

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// quotaName is the name of the quota of stories in which results are refused:
// the manager's log says it.
const quotaName = "no-more-configmaps"

// protectDeadline is what --protect-deadline is set to for a story.
const protectDeadline = 15 * time.Second

// refuseResults has a quota refuse results in the story's namespace until the
// function that it returns is called. Pods need the ConfigMap of the authority,
// which comes first.
func (s *story) refuseResults() (lift func()) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		key := client.ObjectKey{Namespace: s.namespace, Name: "kube-root-ca.crt"}
		g.Expect(s.w.client.Get(s.ctx(), key, &corev1.ConfigMap{})).To(Succeed())
	})
	quota := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("0")},
	}}
	quota.Namespace, quota.Name = s.namespace, quotaName
	s.create(quota)
	s.eventually(func(g Gomega) {
		probe := &corev1.ConfigMap{}
		probe.Namespace, probe.GenerateName = s.namespace, "probe-"
		g.Expect(s.w.client.Create(s.ctx(), probe, client.DryRunAll)).To(MatchError(ContainSubstring("exceeded quota: " + quotaName)))
	})
	return func() {
		s.t.Helper()
		s.Expect(s.w.client.Delete(s.ctx(), quota)).To(Succeed())
	}
}

// protected returns the builder of a protected Job that runs a script.
func (s *story) protected(name, script string) *jobtest.JobBuilder {
	return s.job(name, script).Annotation(api.ProtectAnnotation, api.True)
}

// deleteJob deletes the Job as people do, without waiting.
func (s *story) deleteJob(job *batchv1.Job) {
	s.t.Helper()
	output, err := s.kubectl(s.ctx(), "delete", "job", job.Name, "--wait=false")
	s.Expect(err).NotTo(HaveOccurred(), output)
}

// held wants the Job to be Terminating, with so many pods, for a while.
func (s *story) held(job *batchv1.Job, pods int) {
	s.t.Helper()
	s.always(quiet, func(g Gomega) {
		now := s.now(g, job)
		g.Expect(now.DeletionTimestamp).NotTo(BeNil())
		g.Expect(now.Finalizers).To(ConsistOf(api.ResultsFinalizer))
		g.Expect(s.pods(g, job)).To(HaveLen(pods))
	})
}

// protectedDeleted: a protected Job that somebody deletes right after it finished,
// while its results cannot be stored, stays, its pods too, until they can. One
// that is deleted before it finished goes at once.
func protectedDeleted(s *story) {
	s.optedIn()
	lift := s.refuseResults()
	job := s.start(s.protected("report", "echo all that there was to say"))
	s.Expect(job.Finalizers).To(ConsistOf(api.ResultsFinalizer))
	running := s.start(s.protected("running", `trap "exit 0" TERM; while true; do sleep 1; done`))
	s.running(running, 1)
	s.finished(job)
	s.deleteJob(job)
	s.deleteJob(running)

	s.gone(running)
	s.held(job, 1)
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(ContainElement(ContainSubstring("exceeded quota: " + quotaName)))

	lift()
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("all that there was to say\n"))
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveLen(1))
	s.podsGone(job)
}

// protectedNamespaceDeleted: protected Jobs, whatever they do, do not hold up
// their namespace.
func protectedNamespaceDeleted(s *story) {
	s.optedIn()
	s.refuseResults()
	unstored := s.start(s.protected("unstored", "echo not to be stored"))
	deleted := s.start(s.protected("deleted", "exit 1"))
	busy := s.start(s.protected("busy", `trap "exit 0" TERM; while true; do sleep 1; done`))
	s.start(s.protected("suspended", "true").Suspended())
	s.running(busy, 1)
	s.finished(unstored)
	s.finished(deleted)
	s.deleteJob(deleted)
	s.held(deleted, 1)

	s.goes()
}

// historyZero: a CronJob that keeps no Job deletes each in the moment in which it
// ends; its results are there all the same.
func historyZero(s *story) {
	s.optedIn()
	fleeting := jobtest.MakeCronJob(s.namespace, "fleeting").Script("echo begun; sleep 3; echo done").
		Concurrency(batchv1.ForbidConcurrent).History(0, 0).Obj()
	s.create(fleeting)
	broken := jobtest.MakeCronJob(s.namespace, "broken").Script("echo begun; sleep 3; exit 1").BackoffLimit(0).
		Concurrency(batchv1.ForbidConcurrent).History(0, 0).Obj()
	s.create(broken)
	succeeded, failed := s.firstRun(fleeting), s.firstRun(broken)

	s.gone(succeeded)
	s.gone(failed)
	r := s.stored(succeeded)
	s.complete(r)
	s.Expect(r.record.Job.CronJob).To(Equal(fleeting.Name))
	s.Expect(r.texts()).To(HaveExactElements("begun\ndone\n"))
	r = s.stored(failed)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("begun\n"))
}

// historyOvertaken: of a CronJob that keeps one failed Job, a run that a later one has
// overtaken is deleted in the moment in which it fails; its results are there all the
// same.
func historyOvertaken(s *story) {
	const lines = 1000
	s.optedIn()
	cronJob := jobtest.MakeCronJob(s.namespace, "overlapping").Script("true").History(3, 1).Suspended().Obj()
	// Its runs are made by hand, as kubectl create job --from does.
	s.create(cronJob)
	child := func(name, script string) *batchv1.Job {
		job := s.job(name, script).HostFolder(s.folder("gates"), "/gate").Obj()
		job.OwnerReferences = []metav1.OwnerReference{
			*metav1.NewControllerRef(cronJob, batchv1.SchemeGroupVersion.WithKind("CronJob")),
		}
		s.create(job)
		return job
	}
	first := child("first", writes(lines)+`until [ -e /gate/open ]; do sleep 0.2; done; echo "no more"; exit 1`)
	s.running(first, 1)
	s.Expect(s.now(s, first).Finalizers).NotTo(ContainElement(api.ResultsFinalizer))
	second := s.reported(child("second", "echo overtaking; exit 1"))
	s.Expect(s.now(s, first).Finalizers).To(ContainElement(api.ResultsFinalizer))
	s.open("open")

	s.gone(first)
	r := s.stored(first)
	s.complete(r)
	s.wrote(r, printed{lines, "no more\n"})
	s.kept(second)
}

// protectedWhileDown: with the manager away a protected Job that is deleted is
// held, its namespace with it, which is what was asked for, until somebody runs
// release. One that nothing protects goes.
func protectedWhileDown(s *story, d *downtime) {
	s.optedIn()
	gated := s.gated("asked-for", "open", 0, 0).Annotation(api.ProtectAnnotation, api.True)
	job := s.start(gated)
	plain := s.start(s.gated("plain", "open", 0, 0))
	s.running(job, 1)
	s.running(plain, 1)

	d.begin(s)
	s.open("open")
	s.finished(job)
	s.finished(plain)
	s.Expect(s.w.client.Delete(s.ctx(), jobtest.MakeNamespace(s.namespace).Obj())).To(Succeed())
	s.gone(plain)
	s.eventually(func(g Gomega) { g.Expect(s.now(g, job).DeletionTimestamp).NotTo(BeNil()) })
	s.always(quiet, func(g Gomega) { g.Expect(s.now(g, job).Finalizers).To(ContainElement(api.ResultsFinalizer)) })

	s.Expect(release(s, "--deleting")).To(And(
		ContainSubstring("Job %s/asked-for: finalizer job-handler/results removed", s.namespace),
		ContainSubstring("Released 0 Namespaces and ")))
	s.gone(job)
	s.awaitGone()
	d.end(s)
}

// protectDeadlinePassed: a deletion is held up for no longer than the operator
// allows, and a Warning says what that cost.
func protectDeadlinePassed(s *story) {
	s.optedIn()
	restore := s.withArgument(fmt.Sprintf("--protect-deadline=%s", protectDeadline))
	defer restore()
	s.refuseResults()
	job := s.start(s.protected("report", "echo lost"))
	s.finished(job)
	s.eventually(func(g Gomega) { g.Expect(s.told(job, corev1.EventTypeWarning)).NotTo(BeEmpty()) })
	s.deleteJob(job)
	deleted := s.now(s, job).DeletionTimestamp.Time

	s.held(job, 1)
	s.gone(job)
	// By itself the manager would have come back to it after a minute or more.
	s.Expect(time.Since(deleted)).To(And(BeNumerically(">=", protectDeadline), BeNumerically("<", time.Minute)))
	s.eventually(func(g Gomega) {
		g.Expect(s.told(job, corev1.EventTypeWarning)).To(ContainElement(And(
			ContainSubstring("is deleted without stored results"), ContainSubstring(protectDeadline.String()))))
	})
	var found corev1.ConfigMapList
	s.Expect(s.w.client.List(s.ctx(), &found, client.InNamespace(s.namespace), client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	s.Expect(found.Items).To(BeEmpty())
}

// withArgument deploys the manager with one more argument, and returns what takes
// it away again.
func (s *story) withArgument(argument string) (restore func()) {
	s.t.Helper()
	objects := make([]*unstructured.Unstructured, 0, len(s.w.manager.objects))
	for _, object := range s.w.manager.objects {
		changed := object.DeepCopy()
		objects = append(objects, changed)
		if changed.GetKind() != "Deployment" {
			continue
		}
		path := []string{"spec", "template", "spec", "containers"}
		containers, _, err := unstructured.NestedSlice(changed.Object, path...)
		s.Expect(err).NotTo(HaveOccurred())
		container, ok := containers[0].(map[string]any)
		s.Expect(ok).To(BeTrue())
		arguments, ok := container["args"].([]any)
		s.Expect(ok).To(BeTrue())
		container["args"] = append(slices.Clone(arguments), argument)
		s.Expect(unstructured.SetNestedSlice(changed.Object, containers, path...)).To(Succeed())
	}
	deploy := func(ctx context.Context, objects []*unstructured.Unstructured) {
		s.t.Helper()
		s.Expect(within(ctx, func(ctx context.Context) error {
			return s.w.manager.deploy(ctx, objects)
		})).To(Succeed())
		s.allReady()
	}
	deploy(s.ctx(), objects)
	return func() { deploy(context.WithoutCancel(s.ctx()), s.w.manager.objects) }
}
