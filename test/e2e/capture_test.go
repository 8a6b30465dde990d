package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

const (
	// lastWords has a script say that it was told to end, and end.
	lastWords = `trap 'echo "got TERM"; exit 1' TERM; `
	// killed is the exit code of a container that the kubelet killed.
	killed = 137
	// gotTerm is what it says then.
	gotTerm = "got TERM\n"
	// firstTime is the condition that it is the first time with a folder.
	firstTime = `mkdir /count/first 2>/dev/null`
)

// writes is a command that writes so many numbered lines.
func writes(lines int) string {
	return fmt.Sprintf(`awk 'BEGIN { for (i = 1; i <= %d; i++) printf "%%07d %%055d\n", i, 0 }'; `, lines)
}

// working writes so many numbered lines, and then goes on without a word.
func working(lines int) string { return writes(lines) + `while true; do sleep 0.2; done` }

// workingSeen is working, and tells in the folder /seen that the lines are written. A
// slow machine would else have the container killed before.
func workingSeen(lines int) string {
	return writes(lines) + `touch /seen/written; while true; do sleep 0.1; done`
}

// sees waits until a container has made this file in the folder /seen.
func (s *story) sees(file string) {
	s.t.Helper()
	s.eventually(func(g Gomega) { g.Expect(filepath.Join(s.folder("seen"), file)).To(BeAnExistingFile()) })
}

// printed is what a container wrote: numbered lines up to one, and then the rest.
type printed struct {
	lines int
	rest  string
}

// wrote wants the logs of the run to be what the containers wrote, line by line.
func (s *story) wrote(r run, want ...printed) {
	s.t.Helper()
	logs := s.written(r)
	s.Expect(logs).To(HaveLen(len(want)))
	for i, log := range logs {
		s.exactly(log, want[i].lines, want[i].rest)
	}
}

// wroteUntilDeleted wants of pods that were deleted at work what wrote wants. The
// results are complete. On a busy node the kubelet may remove a pod before the end
// of its log can be compared: then the results say that.
func (s *story) wroteUntilDeleted(r run, want ...printed) {
	s.t.Helper()
	s.wrote(r, want...)
	s.completeOrNotCompared(r)
}

// completeOrNotCompared wants the results to be complete, or to say of no log more
// than that its end could not be compared.
func (s *story) completeOrNotCompared(r run) {
	s.t.Helper()
	if r.record.Capture.Complete {
		s.complete(r)
		return
	}
	for _, pod := range r.record.Pods {
		for _, container := range pod.Containers {
			if capture := container.Capture; !capture.Complete {
				s.Expect(capture.Reason).To(Equal(results.ReasonNotCompared), "pod %s, container %s", pod.Name, container.Name)
			}
		}
	}
	s.w.say("%s: %s", s.namespace, r.record.Capture.Why)
}

// written returns each log of the run as it was written, in order. Nothing of
// them may have been left out.
func (s *story) written(r run) []string {
	s.t.Helper()
	view, err := resultsview.Parse(results.Decode(r.ConfigMap))
	s.Expect(err).NotTo(HaveOccurred())
	logs, err := view.Logs(s.ctx(), nil)
	s.Expect(err).NotTo(HaveOccurred())
	var all []string
	for i := range logs.List {
		log := &logs.List[i]
		s.Expect(log.Exact()).To(BeTrue(), "pod %s", log.Pod.Name)
		s.Expect(log.Tail).To(BeEmpty(), "pod %s: the middle was left out", log.Pod.Name)
		all = append(all, string(log.Head))
	}
	return all
}

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
	const lines = 100_000
	s.optedIn()
	job := s.start(s.job("endless", lastWords+workingSeen(lines)).HostFolder(s.folder("seen"), "/seen"))
	s.sees("written")
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataStatus, api.StatusFailed),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonDeadlineExceeded),
		HaveKeyWithValue(api.DataDuration, Not(BeEmpty())),
		HaveKeyWithValue(api.DataContainers, ContainSubstring("Exit code:    1")),
	))
	s.wroteUntilDeleted(r, printed{lines, gotTerm})
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	s.podsGone(job)
	s.kept(job)
}

// deadlineFollowed: where the log is followed from the start, that is the same.
func deadlineFollowed(s *story) {
	const lines = 100_000
	s.optedIn()
	job := s.start(s.job("endless", lastWords+workingSeen(lines)).HostFolder(s.folder("seen"), "/seen").
		Annotation(api.LogModeAnnotation, api.LogModeFollow))
	s.sees("written")
	s.overdue(job)

	r := s.stored(s.reported(job))
	s.wroteUntilDeleted(r, printed{lines, gotTerm})
}

// deadlineIgnored: the log of a program that does not heed the deadline goes on
// until it is killed.
func deadlineIgnored(s *story) {
	const lines = 10_000
	s.optedIn()
	job := s.start(s.job("stubborn", `trap '' TERM; `+writes(lines)+
		`i=0; while true; do i=$((i+1)); echo "tick $i"; echo $i >/seen/ticks; sleep 0.5; done`).
		HostFolder(s.folder("seen"), "/seen").GracePeriod(4))
	s.sees("ticks")
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.completeOrNotCompared(r)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataContainers, ContainSubstring("Exit code:    137")))
	logs := s.written(r)
	s.Expect(logs).To(HaveLen(1))
	said, on := strings.CutPrefix(logs[0], numbered(1, lines))
	s.Expect(on).To(BeTrue(), "it begins with %.200q", logs[0])
	ticks := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	for i, tick := range ticks {
		s.Expect(tick).To(Equal(fmt.Sprintf("tick %d", i+1)))
	}
	end := r.record.Pods[0].Containers[0].State
	started, err := time.Parse(time.RFC3339, end.StartedAt)
	s.Expect(err).NotTo(HaveOccurred())
	finished, err := time.Parse(time.RFC3339, end.FinishedAt)
	s.Expect(err).NotTo(HaveOccurred())
	// The times are whole seconds.
	s.Expect(finished.Sub(started)).To(BeNumerically(">=", 3*time.Second), "it was not killed before its grace period was over")
	counted, err := os.ReadFile(filepath.Join(s.folder("seen"), "ticks"))
	s.Expect(err).NotTo(HaveOccurred())
	// It may have been killed between the two lines.
	last := strings.TrimSpace(string(counted))
	s.Expect(last).To(BeElementOf("", strconv.Itoa(len(ticks)), strconv.Itoa(len(ticks)-1)))
}

// backoffLimit: when a container was restarted as often as it may be, its pod is
// deleted. The log of the instance that was at work is there, to its last words,
// and that of the one before, if the kubelet has it still, is whole.
func backoffLimit(s *story) {
	const lines = 1000
	s.optedIn()
	r := s.deletedAfter(2, lines)
	container := r.record.Pods[0].Containers[0]
	s.Expect(container.RestartCount).To(BeEquivalentTo(2))
	s.Expect(container.EarlierInstances + len(container.Instances)).To(Equal(1))
}

// noRetry: a pod whose container may not be started again is deleted as soon as it
// was.
func noRetry(s *story) {
	const lines = 100
	s.optedIn()
	r := s.deletedAfter(1, lines)
	s.Expect(r.record.Pods[0].Containers[0].RestartCount).To(BeEquivalentTo(1))
}

// deletedAfter runs a Job whose container writes so many lines and fails, this often,
// and then works on: its pod is deleted then. It returns the results.
func (s *story) deletedAfter(restarts, lines int) run {
	s.t.Helper()
	// Of a container that may not be restarted one restart is too many, else as many
	// as there may be.
	limit := int32(restarts)
	if restarts == 1 {
		limit = 0
	}
	script := fmt.Sprintf(`n=$(cat /count/n 2>/dev/null || echo 0); echo $((n+1)) >/count/n; %s%s`+
		`[ $n -lt %d ] && { sleep 1; exit 1; }; while true; do sleep 0.2; done`, lastWords, writes(lines), restarts)
	job := s.reported(s.start(s.job("hopeless", script).HostFolder(s.folder("count"), "/count").
		RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(limit)))
	r := s.stored(job)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataReason, batchv1.JobReasonBackoffLimitExceeded))
	s.podsGone(job)
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	s.Expect(r.record.Pods).To(HaveLen(1))
	logs := slices.DeleteFunc(r.logs(), func(log containerLog) bool { return log.Instance != "" })
	s.Expect(logs).To(HaveLen(2))
	rest := gotTerm
	if code := r.record.Pods[0].Containers[0].State.ExitCode; code != nil && *code == killed {
		// It was told to end before its shell could listen.
		rest = ""
	}
	s.exactly(logs[1].Text, lines, rest)
	s.Expect(logs[0].Previous).To(BeTrue())
	if !strings.HasPrefix(logs[0].Text, "[job-handler: no log") {
		s.exactly(logs[0].Text, lines, "")
	}
	return r
}

// attemptDeleted: whoever deletes a pod while it works finds its log in the
// results, before that of the pod that was made in its place.
func attemptDeleted(s *story) {
	const lines = 100
	s.optedIn()
	job := s.start(s.job("interrupted", firstTime+` && { `+lastWords+working(lines)+`; }; echo "second try: done"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2))
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	output, err := s.kubectl(s.ctx(), "delete", "pod", pods[0].Name)
	s.Expect(err).NotTo(HaveOccurred(), output)

	s.gone(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm}, printed{rest: "second try: done\n"})
	s.Expect(r.logs()[0].Pod).To(Equal(pods[0].Name))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
	s.Expect(r.record.Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(1)))
}

// suspendedAtWork: a Job that is suspended loses its pods; once it was resumed
// and has finished, the results have what they wrote.
func suspendedAtWork(s *story) {
	const lines = 1000
	s.optedIn()
	job := s.start(s.job("paused", firstTime+` && { `+lastWords+workingSeen(lines)+`; }; echo "resumed"`).
		HostFolder(s.folder("count"), "/count").HostFolder(s.folder("seen"), "/seen").BackoffLimit(2))
	s.sees("written")
	s.running(job, 1)
	s.change(job, func() { job.Spec.Suspend = new(true) })
	s.podsGone(job)
	s.change(job, func() { job.Spec.Suspend = new(false) })

	s.gone(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm}, printed{rest: "resumed\n"})
	s.Expect(r.record.PodCounts.Seen).To(Equal(2))
	s.Expect(r.record.PodCounts.Missing).To(BeZero())
}

// evicted: a drain asks for pods to be evicted; what they wrote is there.
func evicted(s *story) {
	const lines = 10_000
	s.optedIn()
	job := s.start(s.job("drained", firstTime+` && { `+lastWords+workingSeen(lines)+`; }; echo "elsewhere: done"`).
		HostFolder(s.folder("count"), "/count").HostFolder(s.folder("seen"), "/seen").BackoffLimit(2))
	s.sees("written")
	s.running(job, 1)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	s.Expect(s.w.client.SubResource("eviction").Create(s.ctx(), &pods[0], &policyv1.Eviction{})).To(Succeed())

	s.gone(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm}, printed{rest: "elsewhere: done\n"})
}

// parallelFailure: when one pod fails the Job, the others are deleted at work;
// the logs of all of them are there.
func parallelFailure(s *story) {
	const lines = 10_000
	s.optedIn()
	job := s.start(s.job("crowd", `[ $JOB_COMPLETION_INDEX = 2 ] && { `+
		`until [ -e /seen/0 ] && [ -e /seen/1 ]; do sleep 0.2; done; echo "no more"; exit 1; }; `+
		lastWords+`touch /seen/$JOB_COMPLETION_INDEX; `+working(lines)).
		HostFolder(s.folder("seen"), "/seen").Completions(3, 3).Indexed())

	job = s.reported(job)
	r := s.stored(job)
	s.decidedBy(r, 2, "no more\n", lines)
}

// largeLogDeleted: a log of 100,000 lines, or of as many as this machine can read while
// they are there, is there whole and compressed, to the last words, though its pod has a
// single second to end.
func largeLogDeleted(s *story) {
	const sample, most = 10_000, 100_000
	s.optedIn()
	job := s.start(s.job("chatterbox", lastWords+writes(sample)+`touch /seen/sample; until [ -s /seen/lines ]; do sleep 0.1; done; `+
		fmt.Sprintf(`awk -v n="$(cat /seen/lines)" 'BEGIN { for (i = %d; i <= n; i++) printf "%%07d %%055d\n", i, 0 }'; `, sample+1)+
		`touch /seen/written; while true; do sleep 0.1; done`).
		HostFolder(s.folder("seen"), "/seen").GracePeriod(1))
	s.sees("sample")
	lines := int(min(most, max(sample, sample*longestReading/s.readingTime(job))))
	s.t.Logf("%d lines", lines)
	s.Expect(os.WriteFile(filepath.Join(s.folder("seen"), "lines"), []byte(strconv.Itoa(lines)), 0o644)).To(Succeed())
	s.sees("written")
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm})
	s.Expect(r.record.Pods[0].Containers[0].Capture.BytesSeen).To(BeEquivalentTo(lines*lineSize + len(gotTerm)))
}

// longestReading is for how long the log of a pod with a second to end can be read.
const longestReading = 2 * time.Second

// readingTime returns how long the log of a Job's only pod takes to be read now.
func (s *story) readingTime(job *batchv1.Job) time.Duration {
	s.t.Helper()
	client, err := kubernetes.NewForConfig(s.w.cluster.RESTConfig())
	s.Expect(err).NotTo(HaveOccurred())
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(1))
	began := time.Now()
	_, err = client.CoreV1().Pods(s.namespace).GetLogs(pods[0].Name, &corev1.PodLogOptions{}).DoRaw(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	return time.Since(began)
}

// crewDeleted: of a pod that is deleted at work the logs of all containers are
// there: of the init container that ended long ago, and of the sidecar that ends
// last.
func crewDeleted(s *story) {
	const lines = 10_000
	s.optedIn()
	job := s.start(s.job("crew", lastWords+working(lines)).InitContainer("prepare", "echo prepared").
		Sidecar("proxy", `trap 'echo "proxy closed"; exit 0' TERM; echo "proxy open"; while true; do sleep 0.2; done`))
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.record.Pods).To(HaveLen(1))
	var containers []string
	for _, container := range r.record.Pods[0].Containers {
		containers = append(containers, container.Name)
	}
	s.Expect(containers).To(HaveExactElements("prepare", "proxy", "main"))
	s.wroteUntilDeleted(r, printed{rest: "prepared\n"}, printed{rest: "proxy open\nproxy closed\n"}, printed{lines, gotTerm})
}
