package e2e

import (
	"strings"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// expired: results that are to be kept for a while go when that is over, long
// before the next look at everything, also those in a Secret and those of a failed
// Job, which stays and is not stored again. Others stay, and so
// does what somebody labelled like results.
func expired(s *story) {
	s.optedIn()
	s.grantSecrets()
	kept := s.start(s.job("kept", "echo for ever"))
	s.gone(kept)
	theirs := s.stored(kept).DeepCopy()
	theirs.Name, theirs.ResourceVersion, theirs.UID, theirs.Immutable = "theirs-results", "", "", nil
	theirs.Labels[api.JobUIDLabel] = "of-nobody"
	theirs.Annotations[api.ExpiresAtAnnotation] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	s.create(theirs)

	const ttl = "10s"
	jobs := []*batchv1.Job{
		s.start(s.job("short", "echo ten seconds").Annotation(api.ResultsTTLAnnotation, ttl)),
		s.start(s.job("secret", "echo ten seconds").Annotation(api.ResultsTTLAnnotation, ttl).
			Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret)),
		s.start(s.job("failing", "exit 1").Annotation(api.ResultsTTLAnnotation, ttl)),
	}
	failed := s.reported(jobs[2])
	for _, job := range jobs {
		s.eventually(func(g Gomega) {
			g.Expect(s.told(job, corev1.EventTypeNormal) == nil && s.told(job, corev1.EventTypeWarning) == nil).To(BeFalse(),
				"the results of job %s were not stored", job.Name)
			for _, object := range []client.Object{&corev1.ConfigMap{}, &corev1.Secret{}} {
				err := s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: s.namespace, Name: job.Name + api.ResultsSuffix}, object)
				g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the results of job %s are there still: %v", job.Name, err)
			}
		})
	}
	s.always(quiet, func(g Gomega) {
		g.Expect(s.now(g, failed).ResourceVersion).To(Equal(failed.ResourceVersion))
		g.Expect(s.told(failed, corev1.EventTypeWarning)).To(HaveExactElements(ContainSubstring("results stored in")))
	})
	s.stored(kept)
	s.refresh(theirs)
	s.Expect(strings.TrimSpace(theirs.Data[api.DataLogs])).To(HaveSuffix("for ever"))
}
