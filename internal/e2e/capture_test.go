package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	workLines = 5000
	// lastWords has a script say that it was told to end, and end.
	lastWords = `trap 'echo "got TERM"; exit 1' TERM; `
	// working writes workLines numbered lines, and then goes on without a word.
	working = `awk 'BEGIN { for (i = 1; i <= 5000; i++) printf "%07d %055d\n", i, 0 }'; while true; do sleep 0.2; done`
	// firstTime is the condition that it is the first time with a folder.
	firstTime = `mkdir /count/first 2>/dev/null`
)

// overdue sets the Job's deadline once it runs, to one that has passed.
func (s *story) overdue(job *batchv1.Job) {
	s.t.Helper()
	s.running(job, 1)
	s.change(job, func() { job.Spec.ActiveDeadlineSeconds = new(int64(1)) })
}

// deadline: at its deadline a running Job loses its pod, and the log with it,
// before it counts as failed. The results have the log all the same, up to what
// the program wrote when it was told to end.
func deadline(s *story) {
	s.optedIn()
	job := s.start(s.job("endless", lastWords+working))
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataStatus, api.StatusFailed),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonDeadlineExceeded),
		HaveKeyWithValue(api.DataDuration, Not(BeEmpty())),
		HaveKeyWithValue(api.DataContainers, ContainSubstring("Exit code:    1")),
	))
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements(numbered(1, workLines) + "got TERM\n"))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	s.podsGone(job)
	s.kept(job)
}

// deadlineIgnored: the log of a program that does not heed the deadline goes on
// until it is killed.
func deadlineIgnored(s *story) {
	s.optedIn()
	job := s.start(s.job("stubborn", `trap '' TERM; i=0; while true; do i=$((i+1)); echo "tick $i"; sleep 0.5; done`).
		GracePeriod(4))
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataContainers, ContainSubstring("Exit code:    137")))
	logs := r.texts()
	s.Expect(logs).To(HaveLen(1))
	ticks := strings.Split(strings.TrimSuffix(logs[0], "\n"), "\n")
	for i, tick := range ticks {
		s.Expect(tick).To(Equal(fmt.Sprintf("tick %d", i+1)))
	}
	end := r.record.Pods[0].Containers[0].State
	started, err := time.Parse(time.RFC3339, end.StartedAt)
	s.Expect(err).NotTo(HaveOccurred())
	finished, err := time.Parse(time.RFC3339, end.FinishedAt)
	s.Expect(err).NotTo(HaveOccurred())
	// The times are whole seconds, and a tick takes a little more than its pause.
	ran := int(finished.Sub(started) / time.Second)
	s.Expect(ran).To(BeNumerically(">=", 3), "it was not killed before its grace period was over")
	s.Expect(len(ticks)).To(BeNumerically(">=", ran-1))
}

// backoffLimit: when a container was restarted as often as it may be, its pod is
// deleted. Of the last two instances the logs are there, whole.
func backoffLimit(s *story) {
	s.optedIn()
	job := s.start(s.job("hopeless", `awk 'BEGIN { for (i = 1; i <= 5000; i++) printf "%07d %055d\n", i, 0 }'; sleep 5; exit 1`).
		RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(2))

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataReason, batchv1.JobReasonBackoffLimitExceeded))
	s.podsGone(job)
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	s.Expect(r.record.Pods).To(HaveLen(1))
	container := r.record.Pods[0].Containers[0]
	s.Expect(container.RestartCount).To(BeNumerically(">=", 1))
	s.instancesWhole(r)
}

// instancesWhole wants the logs of a container's instances that are there, one at
// least, to have all that they wrote.
func (s *story) instancesWhole(r run) {
	s.t.Helper()
	whole := 0
	for _, log := range r.logs() {
		if !strings.HasPrefix(log.Text, "[job-handler: no log") {
			s.Expect(log.Text).To(Equal(numbered(1, workLines)), "previous: %v", log.Previous)
			whole++
		}
	}
	s.Expect(whole).To(BeNumerically(">=", 1), r.record.Capture.Why)
}

// attemptDeleted: whoever deletes a pod while it works finds its log in the
// results, before that of the pod that was made in its place.
func attemptDeleted(s *story) {
	s.optedIn()
	job := s.start(s.job("interrupted", firstTime+` && { `+lastWords+working+`; }; echo "second try: done"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2))
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	output, err := s.kubectl(s.ctx(), "delete", "pod", pods[0].Name)
	s.Expect(err).NotTo(HaveOccurred(), output)

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements(numbered(1, workLines)+"got TERM\n", "second try: done\n"))
	s.Expect(r.logs()[0].Pod).To(Equal(pods[0].Name))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
	s.Expect(r.record.Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(1)))
}

// suspendedAtWork: a Job that is suspended loses its pods; once it was resumed
// and has finished, the results have what they wrote.
func suspendedAtWork(s *story) {
	s.optedIn()
	job := s.start(s.job("paused", firstTime+` && { `+lastWords+working+`; }; echo "resumed"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2))
	s.running(job, 1)
	s.change(job, func() { job.Spec.Suspend = new(true) })
	s.podsGone(job)
	s.change(job, func() { job.Spec.Suspend = new(false) })

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements(numbered(1, workLines)+"got TERM\n", "resumed\n"))
	s.Expect(r.record.PodCounts.Seen).To(Equal(2))
	s.Expect(r.record.PodCounts.Missing).To(BeZero())
}

// evicted: a drain asks for pods to be evicted; what they wrote is there.
func evicted(s *story) {
	s.optedIn()
	job := s.start(s.job("drained", firstTime+` && { `+lastWords+working+`; }; echo "elsewhere: done"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2))
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	s.Expect(s.w.client.SubResource("eviction").Create(s.ctx(), &pods[0], &policyv1.Eviction{})).To(Succeed())

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements(numbered(1, workLines)+"got TERM\n", "elsewhere: done\n"))
}

// parallelFailure: when one pod fails the Job, the others are deleted at work;
// the logs of all of them are there.
func parallelFailure(s *story) {
	s.optedIn()
	job := s.start(s.job("crowd", `[ $JOB_COMPLETION_INDEX = 2 ] && { `+
		`until [ -e /seen/0 ] && [ -e /seen/1 ]; do sleep 0.2; done; echo "no more"; exit 1; }; `+
		lastWords+`touch /seen/$JOB_COMPLETION_INDEX; `+working).
		HostFolder(s.folder("seen"), "/seen").Completions(3, 3).Indexed())

	job = s.reported(job)
	r := s.stored(job)
	s.decidedBy(r, 2, "no more\n")
}

// largeLogDeleted: a log of 100,000 lines is there, all of it compressed, to the
// last words, though its pod has a single second to end.
func largeLogDeleted(s *story) {
	const lines = 100_000
	s.optedIn()
	job := s.start(s.job("chatterbox", fmt.Sprintf(
		`trap 'echo "got TERM"; exit 1' TERM; awk 'BEGIN { for (i = 1; i <= %d; i++) printf "%%07d %%055d\n", i, 0 }'; touch /seen/written; while true; do sleep 0.1; done`,
		lines)).HostFolder(s.folder("seen"), "/seen").GracePeriod(1))
	s.eventually(func(g Gomega) { g.Expect(filepath.Join(s.folder("seen"), "written")).To(BeAnExistingFile()) })
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.record.Capture).To(Equal(results.RunCapture{Complete: true}))
	s.exactly(s.unpacked(r), lines, "got TERM\n")
	s.Expect(r.record.Pods[0].Containers[0].Capture.BytesSeen).To(BeEquivalentTo(lines*lineSize + len("got TERM\n")))
}

// crewDeleted: of a pod that is deleted at work the logs of all containers are
// there: of the init container that ended long ago, and of the sidecar that ends
// last.
func crewDeleted(s *story) {
	s.optedIn()
	job := s.start(s.job("crew", lastWords+working).InitContainer("prepare", "echo prepared").
		Sidecar("proxy", `trap 'echo "proxy closed"; exit 0' TERM; echo "proxy open"; while true; do sleep 0.2; done`))
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.record.Pods).To(HaveLen(1))
	pod := r.record.Pods[0].Name
	s.Expect(r.logs()).To(Equal([]containerLog{
		{Pod: pod, Container: "prepare", Text: "prepared\n"},
		{Pod: pod, Container: "proxy", Text: "proxy open\nproxy closed\n"},
		{Pod: pod, Container: "main", Text: numbered(1, workLines) + "got TERM\n"},
	}))
}
