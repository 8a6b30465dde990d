package e2e

import (
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// resultsAndParts selects what stays of Jobs: all that Job Handler made but captures.
var resultsAndParts = client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(
	must(labels.NewRequirement(api.CreatedLabel, selection.Equals, []string{api.True})),
	must(labels.NewRequirement(api.CaptureOfLabel, selection.DoesNotExist, nil)),
)}

func must(requirement *labels.Requirement, err error) labels.Requirement {
	if err != nil {
		panic(err)
	}
	return *requirement
}

// captures returns the objects that keep captured pods of the Job until it ends.
func (s *story) captures(g Gomega, job *batchv1.Job) []corev1.ConfigMap {
	s.t.Helper()
	var objects corev1.ConfigMapList
	g.Expect(s.w.client.List(s.ctx(), &objects, client.InNamespace(s.namespace),
		client.MatchingLabels{api.CaptureOfLabel: string(job.UID)})).To(Succeed())
	return objects.Items
}

// spilled: the attempt that somebody deleted is stored beside a Job that goes on,
// outlives the manager, which is killed, and is in the results line by line; what
// was stored goes with the Job.
func spilled(s *story, d *downtime) {
	const lines = 100_000
	s.optedIn()
	job := s.start(s.job("outlived", firstTime+` && { `+lastWords+working(lines)+`; }; `+
		`until [ -e /count/open ]; do sleep 0.5; done; echo "second try: done"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2))
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	output, err := s.kubectl(s.ctx(), "delete", "pod", pods[0].Name)
	s.Expect(err).NotTo(HaveOccurred(), output)
	s.eventually(func(g Gomega) { g.Expect(s.captures(g, job)).To(HaveLen(1)) })
	kept := s.captures(s, job)[0]
	s.Expect(kept.OwnerReferences).To(HaveExactElements(And(HaveField("Kind", "Job"), HaveField("UID", job.UID))))
	s.Expect(kept.Immutable).To(HaveValue(BeTrue()))

	d.begin(s)
	s.kept(job)
	d.end(s)
	output, err = s.kubectl(s.ctx(), "get", "configmaps", "-l", api.ResultsSelector, "-o", "name")
	s.Expect(err).NotTo(HaveOccurred(), output)
	s.Expect(output).To(BeEmpty(), "what is kept is no results")
	s.touch("count", "open")

	s.gone(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm}, printed{rest: "second try: done\n"})
	s.Expect(r.logs()[0].Pod).To(Equal(pods[0].Name))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
	s.eventually(func(g Gomega) { g.Expect(s.captures(g, job)).To(BeEmpty(), "they are gone with the Job") })
}

// unspilled: of an attempt that was still followed when the manager was killed,
// and was gone when it was back, the results say that it is missing.
func unspilled(s *story, d *downtime) {
	s.optedIn()
	job := s.start(s.job("lost", firstTime+` && { trap 'echo "got TERM"' TERM; until [ -e /count/end ]; do sleep 0.2; done; exit 1; }; `+
		`until [ -e /count/open ]; do sleep 0.5; done; echo "second try: done"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2).GracePeriod(3600))
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	output, err := s.kubectl(s.ctx(), "delete", "pod", pods[0].Name, "--wait=false")
	s.Expect(err).NotTo(HaveOccurred(), output)

	d.begin(s)
	s.Expect(s.captures(s, job)).To(BeEmpty(), "its log had not ended")
	s.touch("count", "end")
	s.eventually(func(g Gomega) {
		for _, pod := range s.pods(g, job) {
			g.Expect(pod.Name).NotTo(Equal(pods[0].Name))
		}
	})
	d.end(s)
	s.touch("count", "open")

	s.gone(job)
	r := s.stored(job)
	s.Expect(r.texts()).To(HaveExactElements(And(
		HavePrefix("second try: done\n"), ContainSubstring("no log of 1 pod that the Job's status counts"))))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 1, Missing: 1}))
	s.Expect(r.record.Capture.Complete).To(BeFalse())
	s.Expect(r.record.Capture.Why).To(ContainSubstring(results.ReasonPodGone))
}
