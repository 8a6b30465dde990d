package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// gated returns the builder of a Job that ends when the gate is opened, with
// the exit code.
func (s *story) gated(name, gate string, after, exitCode int) *jobtest.JobBuilder {
	return s.job(name, fmt.Sprintf(`until [ -e /gate/%s ]; do sleep 1; done; sleep %d; echo "%s through"; exit %d`,
		gate, after, name, exitCode)).HostFolder(s.folder("gates"), "/gate")
}

// open lets the Jobs of a gate end.
func (s *story) open(gate string) {
	s.t.Helper()
	s.touch("gates", gate)
}

// touch makes an empty file in a folder of the node.
func (s *story) touch(folder, file string) {
	s.t.Helper()
	s.Expect(os.WriteFile(filepath.Join(s.folder(folder), file), nil, 0o644)).To(Succeed())
}

// ranWhileDown: a Job that was created and ended while the manager was away
// has its results as soon as it is back.
func ranWhileDown(s *story, d *downtime) {
	s.optedIn()
	namespace := &corev1.Namespace{}
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Name: s.namespace}, namespace)).To(Succeed())
		g.Expect(namespace.Annotations).To(HaveKey(api.EnabledSinceAnnotation))
	})

	d.begin(s)
	s.Expect(s.quickest()).To(BeNumerically("<", 3*time.Second), "creating a Job waited for the webhook")
	job := s.start(s.job("unseen", "echo nobody watched"))
	s.Expect(job.Labels).NotTo(HaveKey(api.EnabledLabel))
	waiting := s.start(s.job("unseen-later", "echo resumed").Suspended())
	job = s.finished(job)
	s.Expect(s.pods(s, job)).To(HaveLen(1))

	d.end(s)
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Name).To(Equal("unseen-results"))
	s.Expect(r.texts()).To(HaveExactElements("nobody watched\n"))

	s.eventually(func(g Gomega) {
		g.Expect(s.now(g, waiting).Spec.Template.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	})
	s.refresh(waiting)
	s.change(waiting, func() { waiting.Spec.Suspend = new(false) })
	s.gone(waiting)
	s.Expect(s.stored(waiting).texts()).To(HaveExactElements("resumed\n"))
}

// quickest returns how long the quickest of some dry runs of a Job's creation took.
// All of them take longer than the webhook's timeout if it is waited for; one may on
// a busy machine.
func (s *story) quickest() time.Duration {
	s.t.Helper()
	least := longest
	for range 3 {
		asked := time.Now()
		s.Expect(s.w.client.Create(s.ctx(), s.job("dry", "true").Obj(), client.DryRunAll)).To(Succeed())
		least = min(least, time.Since(asked))
	}
	return least
}

// ttlZeroWhileDown: a Job that asks to be deleted at once when it has finished
// is held until its results are stored, even if nobody can do that for a while.
func ttlZeroWhileDown(s *story, d *downtime) {
	s.optedIn()
	job := s.start(s.gated("fleeting", "open", 0, 0).TTL(0))
	s.Expect(job.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
	s.Expect(job.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("0;raised=")))
	s.running(job, 1)

	d.begin(s)
	s.open("open")
	job = s.finished(job)
	s.always(10*time.Second, func(g Gomega) {
		g.Expect(s.now(g, job).DeletionTimestamp).To(BeNil())
		g.Expect(s.pods(g, job)).To(HaveLen(1))
	})

	d.end(s)
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("fleeting through\n"))
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveExactElements(ContainSubstring("the Job is deleted now")))
}

// killedAtWork: a manager that is killed in the midst of its work and started
// again goes on: each Job has one results object and one Event, whether it
// ended before, meanwhile or after.
func killedAtWork(s *story, d *downtime) {
	const early, late = 8, 3
	s.optedIn()
	var jobs []*batchv1.Job
	for i := range early {
		jobs = append(jobs, s.start(s.gated(fmt.Sprintf("early-%d", i), "early", i/2, 0)))
	}
	for i := range late {
		jobs = append(jobs, s.start(s.gated(fmt.Sprintf("late-%d", i), "late", 0, 0)))
	}
	broken := s.start(s.gated("broken", "early", 2, 1))
	for _, job := range append(jobs, broken) {
		s.running(job, 1)
	}
	s.open("early")
	s.stored(jobs[0])

	d.begin(s)
	var stored corev1.ConfigMapList
	s.Expect(s.w.client.List(s.ctx(), &stored, client.InNamespace(s.namespace),
		client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	s.t.Logf("killed when %d of %d runs were stored", len(stored.Items), len(jobs)+1)
	s.kept(jobs[early])

	d.end(s)
	s.open("late")
	for _, job := range jobs {
		s.gone(job)
		r := s.stored(job)
		s.complete(r)
		s.Expect(r.texts()).To(HaveExactElements(job.Name + " through\n"))
		s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveLen(1))
		s.Expect(s.told(job, corev1.EventTypeWarning)).To(BeEmpty())
	}
	broken = s.reported(broken)
	s.complete(s.stored(broken))
	s.Expect(s.told(broken, corev1.EventTypeWarning)).To(HaveLen(1))
	s.kept(broken)
}
