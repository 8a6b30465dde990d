package job_test

import (
	"context"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

var _ = Describe("A Job that completes", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })
	AfterEach(func() { Expect(h.logs.inUse()).To(BeZero(), "the memory of logs is given back") })

	It("leaves its results in an immutable ConfigMap that nothing owns", func(ctx SpecContext) {
		object := completed(ctx, aJob())

		h.settle(ctx, object)

		stored := onlyResults(ctx)
		Expect(stored.Name).To(Equal("job-results"))
		Expect(stored.Immutable).To(HaveValue(BeTrue()))
		Expect(stored.OwnerReferences).To(BeEmpty())
		Expect(stored.Finalizers).To(BeEmpty())
		Expect(stored.Labels).To(Equal(map[string]string{
			api.CreatedLabel: api.True, api.JobNameLabel: "job",
			api.StatusLabel: api.StatusCompleted, api.JobUIDLabel: string(object.UID),
		}))
		size := 0
		for _, value := range stored.Data {
			size += len(value)
		}
		Expect(stored.Annotations).To(Equal(map[string]string{
			api.CreatedAtAnnotation: h.clock.Now().UTC().Format(time.RFC3339),
			api.SHA256Annotation:    results.Digest(stored.Data, stored.BinaryData),
			api.BytesAnnotation:     strconv.Itoa(size),
		}))
	})

	It("tells in its results how it went, and what its containers wrote", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("job-0"), ended(0))
		complete(ctx, object, 1)

		h.settle(ctx, object)

		data := onlyResults(ctx).Data
		Expect(data).To(And(
			HaveKeyWithValue(api.DataJobName, "job"),
			HaveKeyWithValue(api.DataStatus, api.StatusCompleted),
			HaveKeyWithValue(api.DataStartTime, object.Status.StartTime.UTC().Format(time.RFC3339)),
			HaveKeyWithValue(api.DataCompletionTime, object.Status.CompletionTime.UTC().Format(time.RFC3339)),
			HaveKeyWithValue(api.DataDuration, "1m30s"),
			HaveKeyWithValue(api.DataReason, batchv1.JobReasonCompletionsReached),
			HaveKeyWithValue(api.DataMessage, "Reached expected number of succeeded pods"),
			HaveKeyWithValue(api.DataLogs, And(
				ContainSubstring("pod job-0, container main"), ContainSubstring("\nhello from job-0/main\n"))),
			HaveKeyWithValue(api.DataContainers, And(ContainSubstring("pod job-0, container main"), MatchRegexp(`Exit code: +0`))),
		))
		record := recordOf(onlyResults(ctx))
		Expect(record.Job).To(Equal(results.JobRecord{Name: "job", Namespace: namespace, UID: string(object.UID)}))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Seen: 1}))
		Expect(record.Pods).To(HaveLen(1))
		Expect(record.Pods[0].UID).To(Equal(string(pod.UID)))
	})

	It("is deleted, and its pods after it, only in the state that was decided about", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		var reported *batchv1.Job
		h.before = func(ctx context.Context, w write) error {
			if w.what == deleteJob {
				reported = read(ctx, object)
			}
			return nil
		}

		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(h.deletions()).To(HaveLen(1))
		options := h.deletions()[0]
		Expect(options.PropagationPolicy).To(HaveValue(Equal(metav1.DeletePropagationBackground)))
		Expect(options.Preconditions).To(HaveValue(Equal(metav1.Preconditions{
			UID: &object.UID, ResourceVersion: &reported.ResourceVersion,
		})))
	})

	It("tells so in exactly one Event, without a word of its logs", func(ctx SpecContext) {
		object := completed(ctx, aJob())

		h.settle(ctx, object)

		all := rawEventsOf(ctx, object)
		Expect(all).To(HaveLen(1))
		event := all[0]
		Expect(event.Type).To(Equal(corev1.EventTypeNormal))
		Expect(event.Action).To(Equal(api.ActionStore))
		Expect(event.ReportingController).To(Equal(api.ManagerName))
		Expect(event.Regarding).To(And(
			HaveField("APIVersion", "batch/v1"), HaveField("Kind", "Job"),
			HaveField("Namespace", namespace), HaveField("Name", "job")))
		Expect(event.Note).To(And(ContainSubstring("job-results"), Not(ContainSubstring("hello"))))
	})

	It("is stored before the Event, told before it is marked, and marked before it is deleted", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.before = func(ctx context.Context, w write) error {
			switch w.what {
			case createEvent:
				expectStored(ctx, object)
				Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
			case patchJob:
				Expect(outcomesOf(ctx, object)).To(HaveLen(1))
			case deleteJob:
				Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted))
			}
			return nil
		}

		h.settle(ctx, object)

		Expect(h.written()).To(Equal([]string{createResults, createEvent, patchJob, deleteJob}))
	})

	It("says on a Job that stays what became of it, and is not written to again", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(api.DeleteAfterSuccessAnnotation, api.Never))

		h.settle(ctx, object)

		kept := read(ctx, object)
		Expect(kept.Annotations).To(And(
			HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted),
			HaveKeyWithValue(api.ResultsNameAnnotation, "job-results"),
			HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete),
		))
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())

		again := h.restarted()
		Expect(again.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(again.written()).To(BeEmpty())
		Expect(read(ctx, object).ResourceVersion).To(Equal(kept.ResourceVersion))
	})

	It("is done with once it is gone", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.settle(ctx, object)
		h.forgetWrites()

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	})

	It("is handled as well if it was labelled after it had finished", func(ctx SpecContext) {
		object := create(ctx, aJob().Obj())
		start(ctx, object)
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		h.reconcile(ctx, object)
		Expect(resultsIn(ctx)).To(BeEmpty())
		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.True })

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		expectGone(ctx, object)
	})

	It("needs no pod to be stored", func(ctx SpecContext) {
		object := running(ctx, aJob())
		complete(ctx, object, 0)

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("the Job had no pod"))
		expectGone(ctx, object)
	})

	It("has its results under the name that it wished for", func(ctx SpecContext) {
		object := completed(ctx, aJob().
			Annotation(api.ResultsNameAnnotation, "report.of-today-results").
			Annotation(api.DeleteAfterSuccessAnnotation, api.Never))

		h.settle(ctx, object)

		Expect(onlyResults(ctx).Name).To(Equal("report.of-today-results"))
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, "report.of-today-results"))
	})

	It("says when its results expire", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(api.ResultsTTLAnnotation, "1w"))

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Annotations).To(HaveKeyWithValue(
			api.ExpiresAtAnnotation, h.clock.Now().Add(7*24*time.Hour).UTC().Format(time.RFC3339)))
	})

	It("has the labels copied that it asks for and the operator allows", func(ctx SpecContext) {
		h.Options.Defaults = policy.Defaults{PropagatableLabels: []string{"team", "example.com/*"}}
		object := completed(ctx, aJob().
			Annotation(api.PropagateLabelsAnnotation, "team,example.com/stage,example.com/absent").
			Label("team", "data").Label("example.com/stage", "nightly").Label("argocd.argoproj.io/instance", "app"))

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Labels).To(Equal(map[string]string{
			api.CreatedLabel: api.True, api.JobNameLabel: "job",
			api.StatusLabel: api.StatusCompleted, api.JobUIDLabel: string(object.UID),
			"team": "data", "example.com/stage": "nightly",
		}))
	})

	It("has no label copied that the operator does not allow, and is told", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(api.PropagateLabelsAnnotation, "team").Label("team", "data"))

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Labels).NotTo(HaveKey("team"))
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring(api.PropagateLabelsAnnotation)))
	})

	It("has no log read in log-mode status, and its container states where the logs would be", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeStatus))

		h.settle(ctx, object)

		Expect(h.logs.readings()).To(BeZero())
		stored := expectStored(ctx, object)
		Expect(stored.Data[api.DataLogs]).To(And(
			Equal(stored.Data[api.DataContainers]), ContainSubstring("container main")))
		Expect(recordOf(stored).Capture.Complete).To(BeTrue())
		expectGone(ctx, object)
	})

	It("follows the defaults of its Namespace where it says nothing itself", func(ctx SpecContext) {
		annotateNamespace(ctx, api.LogModeAnnotation, api.LogModeStatus)
		annotateNamespace(ctx, api.ResultsTTLAnnotation, "1d")
		object := completed(ctx, aJob().Annotation(api.ResultsTTLAnnotation, api.Never))

		h.settle(ctx, object)

		Expect(h.logs.readings()).To(BeZero())
		Expect(expectStored(ctx, object).Annotations).NotTo(HaveKey(api.ExpiresAtAnnotation))
	})

	It("has defaults used for what is invalid in it, and is told once", func(ctx SpecContext) {
		object := completed(ctx, aJob().
			Annotation(api.LogModeAnnotation, "everything").Annotation(api.ResultsTTLAnnotation, "soon").
			Annotation(api.DeleteAfterSuccessAnnotation, "-5s").Annotation(api.ResultsNameAnnotation, "kube-root-ca.crt"))

		h.settle(ctx, object)

		Expect(onlyResults(ctx).Name).To(Equal("job-results"))
		expectGone(ctx, object)
		Expect(warningsOf(ctx, object)).To(ConsistOf(And(
			ContainSubstring(api.LogModeAnnotation), ContainSubstring(api.ResultsTTLAnnotation),
			ContainSubstring(api.DeleteAfterSuccessAnnotation), ContainSubstring(api.ResultsNameAnnotation))))
	})

	DescribeTable("that is not opted in is left alone", func(ctx SpecContext, exclude bool, label func(*batchv1.Job)) {
		h = newHandler(func(o *job.Options) {
			if exclude {
				o.ExcludedNamespaces = []string{"kube-system", namespace}
			}
		})
		disableNamespace(ctx)
		// The API server gives a Job without any label those of its template.
		object := completed(ctx, aJob().Label("app", "batch"))
		object = change(ctx, object, label)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		Expect(h.written()).To(BeEmpty())
		Expect(read(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
	},
		Entry("with the label false", false, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False }),
		Entry("without the label", false, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) }),
		Entry("in an excluded namespace", true, func(*batchv1.Job) {}),
	)
})
