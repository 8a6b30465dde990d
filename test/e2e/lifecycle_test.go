package e2e

import (
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// suspended: a suspended Job is left alone, however long it takes, and handled
// like any other once it has been resumed.
func suspended(s *story) {
	s.optedIn()
	job := s.start(s.job("later", "echo resumed").Suspended())
	s.always(quiet, func(g Gomega) {
		current := s.now(g, job)
		g.Expect(current.Annotations).NotTo(HaveKey(api.StatusAnnotation))
		g.Expect(s.pods(g, job)).To(BeEmpty())
	})

	s.change(job, func() { job.Spec.Suspend = new(false) })
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("resumed\n"))
}

// labelledLate: whoever labels a Job by hand after it finished gets its
// results, though its pods carry no mark.
func labelledLate(s *story) {
	s.plain()
	job := s.finished(s.start(s.job("forgotten", "echo still here")))
	s.Expect(job.Labels).NotTo(HaveKey(api.EnabledLabel))
	s.Expect(s.pods(s, job)).To(HaveLen(1))

	s.change(job, func() { job.Labels = map[string]string{api.EnabledLabel: api.True} })
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("still here\n"))
	s.podsGone(job)
}

// generatedName: a Job that gets its name from the API server has results
// under that name.
func generatedName(s *story) {
	s.optedIn()
	job := s.start(s.job("", "echo anonymous").GenerateName("import-"))
	s.Expect(job.Name).To(MatchRegexp("^import-.+"))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Name).To(Equal(job.Name + api.ResultsSuffix))
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataJobName, job.Name))
	s.Expect(r.texts()).To(HaveExactElements("anonymous\n"))
}

// recreated: a Job made again under the same name is a run of its own, and
// the results of the run before stay as they are.
func recreated(s *story) {
	s.optedIn()
	first := s.start(s.job("daily", "echo Monday"))
	s.gone(first)
	second := s.start(s.job("daily", "echo Tuesday"))
	s.gone(second)

	monday, tuesday := s.stored(first), s.stored(second)
	s.complete(monday)
	s.complete(tuesday)
	s.Expect(monday.Name).To(Equal("daily-results"))
	s.Expect(tuesday.Name).To(Equal("daily-results-" + string(second.UID)[:8]))
	s.Expect(monday.texts()).To(HaveExactElements("Monday\n"))
	s.Expect(tuesday.texts()).To(HaveExactElements("Tuesday\n"))
	for _, job := range []*batchv1.Job{first, second} {
		s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveLen(1))
		s.Expect(s.told(job, corev1.EventTypeWarning)).To(BeEmpty())
	}
}

// namespaceDeleted: a namespace goes when it is deleted, results, kept Jobs and
// running ones included.
func namespaceDeleted(s *story) {
	s.optedIn()
	kept := s.start(s.job("kept", "exit 1"))
	busy := s.start(s.job("busy", `trap "exit 0" TERM; while true; do sleep 1; done`))
	s.stored(s.reported(kept))
	s.running(busy, 1)

	s.goes()
}

// nameTaken: a ConfigMap that somebody made under the name of the results is
// not touched; the results get another name, and a Warning says so.
func nameTaken(s *story) {
	s.optedIn()
	mine := &corev1.ConfigMap{Data: map[string]string{"mine": "and nobody else's"}}
	mine.Namespace, mine.Name = s.namespace, "popular-results"
	s.create(mine)
	before := mine.DeepCopy()
	job := s.start(s.job("popular", "echo stored elsewhere"))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Name).To(Equal("popular-results-" + string(job.UID)[:8]))
	s.Expect(r.texts()).To(HaveExactElements("stored elsewhere\n"))
	s.refresh(mine)
	s.Expect(mine).To(Equal(before))
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(HaveExactElements(ContainSubstring("popular-results")))
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveExactElements(ContainSubstring(r.Name)))
}
