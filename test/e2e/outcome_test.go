package e2e

import (
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// success: an ordinary Job in an opted-in namespace is stamped, and when it
// has completed its results are there and the Job is gone, pods and all.
func success(s *story) {
	s.optedIn()
	before := time.Now().Truncate(time.Second)
	job := s.start(s.job("report", `echo "part 1 of 2"; sleep 2; echo "part 2 of 2"; echo; echo "report written"`))
	s.Expect(job.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	s.Expect(job.Spec.Template.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	s.Expect(job.Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, "report-results"))
	s.Expect(job.Spec.TTLSecondsAfterFinished).To(BeNil())

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Name).To(Equal("report-results"))
	s.Expect(r.Immutable).To(HaveValue(BeTrue()))
	s.Expect(r.Labels).To(Equal(map[string]string{
		api.CreatedLabel: api.True, api.JobNameLabel: "report", api.StatusLabel: api.StatusCompleted,
		api.JobUIDLabel: string(job.UID),
	}))
	s.Expect(r.Annotations).To(HaveLen(3))
	s.Expect(r.Annotations).To(HaveKey(api.CreatedAtAnnotation))
	s.Expect(r.Annotations).To(HaveKey(api.SHA256Annotation))
	s.Expect(r.BinaryData).To(BeEmpty())
	s.Expect(r.record.Pods).To(HaveLen(1))
	s.Expect(r.Data).To(And(HaveLen(10), HaveKey(api.DataJobJSON), HaveKey(api.DataContainers)))
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataJobName, "report"),
		HaveKeyWithValue(api.DataStatus, api.StatusCompleted),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonCompletionsReached),
		HaveKeyWithValue(api.DataMessage, "Reached expected number of succeeded pods"),
		HaveKeyWithValue(api.DataContainers, And(ContainSubstring("Exit code:    0"), ContainSubstring("busybox"))),
		HaveKeyWithValue(api.DataLogs, lines(
			"==> pod "+r.record.Pods[0].Name+", container main (node local, exit code 0) <==",
			"part 1 of 2", "part 2 of 2", "", "report written")),
	))

	started, completed := s.at(r, api.DataStartTime), s.at(r, api.DataCompletionTime)
	s.Expect(started).To(BeTemporally(">=", before))
	s.Expect(completed).To(And(BeTemporally(">=", started.Add(2*time.Second)), BeTemporally("<=", time.Now())))
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataDuration, completed.Sub(started).String()))

	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveExactElements(
		"Job completed; results stored in ConfigMap report-results; the Job is deleted now"))
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(BeEmpty())
	s.podsGone(job)

	s.eventually(func(g Gomega) {
		logged := s.w.log.lines(func(line logLine) bool {
			return line.Namespace == s.namespace && line.Level == "info"
		})
		g.Expect(logged).To(HaveExactElements(And(
			HaveField("Message", messageStored), HaveField("Name", "report"), HaveField("Results", "report-results"))))
	})
}

// failure: a Job that failed is kept for whoever looks into it, has its
// results too, and is found by its Warning.
func failure(s *story) {
	s.optedIn()
	job := s.start(s.job("import", `echo "line 4711: 7 columns expected, 6 found"; exit 3`))

	job = s.reported(job)
	s.Expect(job.Annotations).To(And(
		HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed),
		HaveKeyWithValue(api.ResultsNameAnnotation, "import-results"),
		HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete),
	))
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataStatus, api.StatusFailed),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonBackoffLimitExceeded),
		HaveKeyWithValue(api.DataCompletionTime, Not(BeEmpty())),
		HaveKeyWithValue(api.DataContainers, ContainSubstring("Exit code:    3")),
	))
	s.Expect(r.texts()).To(HaveExactElements("line 4711: 7 columns expected, 6 found\n"))

	listed, err := s.kubectl(s.ctx(), "get", "events", "--field-selector", "reason=JobProcessing,type=Warning")
	s.Expect(err).NotTo(HaveOccurred(), listed)
	s.Expect(listed).To(MatchRegexp(
		`(?s)^LAST SEEN[^\n]*\n[^\n]*Warning +JobProcessing +job/import +Job failed \(BackoffLimitExceeded: [^\n]*\); ` +
			`results stored in ConfigMap import-results; the Job is kept$`))

	s.kept(job)
	s.Expect(s.pods(s, job)).To(HaveLen(1))
}

// neverStarted: a Job whose image cannot be had ends at its deadline without
// ever having run; the results do not pretend that its log was read.
func neverStarted(s *story) {
	s.optedIn()
	job := s.start(s.job("typo", "true").Image("localhost/no-such-image:1"))
	// A busy kubelet takes a while to try.
	s.eventually(func(g Gomega) {
		g.Expect(s.pods(g, job)).To(HaveExactElements(HaveField("Status.ContainerStatuses", HaveExactElements(
			HaveField("State.Waiting", HaveValue(HaveField("Reason", Or(Equal("ErrImagePull"), Equal("ImagePullBackOff")))))))))
	})
	s.change(job, func() { job.Spec.ActiveDeadlineSeconds = new(int64(1)) })

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataStatus, api.StatusFailed),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonDeadlineExceeded),
	))
	s.complete(r)
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	s.Expect(r.Data[api.DataLogs]).To(ContainSubstring("[job-handler: no log: " + results.ReasonNeverStarted))
	s.kept(job)
}

// statusOnly: with log-mode status no log is read, the container states stand
// in its place.
func statusOnly(s *story) {
	s.optedIn()
	job := s.start(s.job("chatty", `echo "password is hunter2"`).
		Annotation(api.LogModeAnnotation, api.LogModeStatus))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.record.LogMode).To(Equal(api.LogModeStatus))
	s.Expect(r.Data[api.DataLogs]).To(And(
		Equal(r.Data[api.DataContainers]), ContainSubstring("Exit code:    0")))
	for key, value := range r.Data {
		s.Expect(value).NotTo(ContainSubstring("hunter2"), key)
	}
}

// deletedLater: delete-after-success 40s becomes the Job's TTL once its
// results are stored, and Kubernetes deletes it. On a slow machine too the report is
// seen before that.
func deletedLater(s *story) {
	s.optedIn()
	job := s.start(s.job("briefly", "echo done").Annotation(api.DeleteAfterSuccessAnnotation, "40s"))

	reported := s.reported(job)
	s.Expect(reported.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted))
	s.Expect(ptr.Deref(reported.Spec.TTLSecondsAfterFinished, -1)).To(BeEquivalentTo(40))
	s.Expect(s.told(job, corev1.EventTypeNormal)).To(HaveExactElements(
		"Job completed; results stored in ConfigMap briefly-results; the Job is deleted 40s after its end"))
	s.gone(job)
	s.Expect(time.Now()).To(BeTemporally(">=", reported.Status.CompletionTime.Add(40*time.Second)))
	s.complete(s.stored(job))
	s.podsGone(job)
}
