package e2e

import (
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// optedOut: in an opted-in namespace a Job can say, by label or annotation,
// that it wants to be left alone.
func optedOut(s *story) {
	s.optedIn()
	byLabel := s.start(s.job("by-label", "echo private").TTL(600).Label(api.EnabledLabel, api.False))
	byAnnotation := s.start(s.job("by-annotation", "echo private").TTL(600).Annotation(api.EnabledAnnotation, api.False))
	for _, job := range []*batchv1.Job{byLabel, byAnnotation} {
		s.untouched(s.finished(job))
	}
}

// optedInItself: a Job can opt in, by label or annotation, in a namespace that
// is not opted in; the others there are left alone.
func optedInItself(s *story) {
	s.plain()
	byLabel := s.start(s.job("by-label", "echo labelled").Label(api.EnabledLabel, api.True))
	byAnnotation := s.start(s.job("by-annotation", "echo annotated").Annotation(api.EnabledAnnotation, api.True))
	neither := s.start(s.job("neither", "echo private").TTL(600))

	s.gone(byLabel)
	s.Expect(s.stored(byLabel).texts()).To(HaveExactElements("labelled\n"))
	s.gone(byAnnotation)
	s.Expect(s.stored(byAnnotation).texts()).To(HaveExactElements("annotated\n"))
	s.untouched(s.finished(neither))
}

// untouched wants nothing of ours on the finished Job, and no results of it,
// now and for a while.
func (s *story) untouched(job *batchv1.Job) {
	s.t.Helper()
	s.always(quiet, func(g Gomega) {
		current := s.now(g, job)
		g.Expect(current.Labels).NotTo(HaveKeyWithValue(api.EnabledLabel, api.True))
		g.Expect(current.Spec.Template.Labels).NotTo(HaveKey(api.EnabledLabel))
		for _, key := range []string{api.StatusAnnotation, api.ResultsNameAnnotation, api.CaptureAnnotation, api.TTLAnnotation} {
			g.Expect(current.Annotations).NotTo(HaveKey(key))
		}
		g.Expect(current.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(600)))
		var found corev1.ConfigMapList
		g.Expect(s.w.client.List(s.ctx(), &found, client.InNamespace(s.namespace),
			client.MatchingLabels{api.JobUIDLabel: string(job.UID)})).To(Succeed())
		g.Expect(found.Items).To(BeEmpty())
	})
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(BeEmpty())
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(BeEmpty())
}

// namespaceAnnotation: where labels are not to be had, the annotation on the
// namespace does the same; the label comes and goes with it.
func namespaceAnnotation(s *story) {
	namespace := jobtest.MakeNamespace(s.namespace).Annotation(api.EnabledAnnotation, api.True).Obj()
	s.create(namespace)
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
		g.Expect(namespace.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	})
	job := s.start(s.job("covered", "echo covered"))
	s.gone(job)
	s.Expect(s.stored(job).texts()).To(HaveExactElements("covered\n"))

	s.refresh(namespace)
	s.change(namespace, func() { delete(namespace.Annotations, api.EnabledAnnotation) })
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
		g.Expect(namespace.Labels).NotTo(HaveKey(api.EnabledLabel))
		g.Expect(namespace.Annotations).NotTo(HaveKey(HavePrefix(api.Prefix)))
	})
	s.eventually(func(g Gomega) {
		// API server and every replica have to know.
		for range 2 * replicas {
			probe := s.job("probe", "true").Obj()
			g.Expect(s.w.client.Create(s.ctx(), probe, client.DryRunAll)).To(Succeed())
			g.Expect(probe.Spec.Template.Labels).NotTo(HaveKey(api.EnabledLabel))
		}
	})
	s.untouched(s.finished(s.start(s.job("uncovered", "echo private").TTL(600))))
}

// invalidAnnotation: a Job with values that mean nothing is refused, with all
// that is wrong in one message that says what is allowed.
func invalidAnnotation(s *story) {
	s.optedIn()
	err := s.w.client.Create(s.ctx(), s.job("confused", "true").
		Annotation(api.LogModeAnnotation, "everything").
		Annotation(api.DeleteAfterSuccessAnnotation, "soon").Obj())
	s.Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	s.Expect(err).To(MatchError(And(
		ContainSubstring(`Job.batch "confused" is invalid`),
		ContainSubstring(`metadata.annotations[job-handler/log-mode]: Unsupported value: "everything": supported values: "status", "full"`),
		ContainSubstring(`metadata.annotations[job-handler/delete-after-success]: Invalid value: "soon": `+
			`must be never or a duration like 1d12h (s m h d w, max 2147483647s)`),
	)))
	err = s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: s.namespace, Name: "confused"}, &batchv1.Job{})
	s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

// isolation: Jobs of the same name in two namespaces have nothing to do with
// each other.
func isolation(s *story) {
	s.optedIn()
	other := s.namespace + "-other"
	s.others = append(s.others, other)
	s.create(jobtest.MakeNamespace(other).Label(api.EnabledLabel, api.True).
		Annotation(api.DeleteAfterSuccessAnnotation, api.Never).Obj())
	ours := s.start(s.job("twin", "echo ours").ManualSelector("app", "twin"))
	theirs := s.start(jobtest.MakeJob(other, "twin").Script("echo theirs").ManualSelector("app", "twin"))

	s.gone(ours)
	theirs = s.reported(theirs)
	s.Expect(theirs.Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, "twin-results"))
	for job, text := range map[*batchv1.Job]string{ours: "ours\n", theirs: "theirs\n"} {
		r := s.stored(job)
		s.complete(r)
		s.Expect(r.Name).To(Equal("twin-results"))
		s.Expect(r.record.Job.Namespace).To(Equal(job.Namespace))
		s.Expect(r.texts()).To(HaveExactElements(text))
		var all corev1.ConfigMapList
		s.Expect(s.w.client.List(s.ctx(), &all, client.InNamespace(job.Namespace),
			client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
		s.Expect(all.Items).To(HaveLen(1))
	}
	s.kept(theirs)
}
