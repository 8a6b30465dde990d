package job_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// everyLog answers the same for every container.
func everyLog(answer func(container string) results.ContainerLog) func(*corev1.Pod, string) results.ContainerLog {
	return func(_ *corev1.Pod, container string) results.ContainerLog { return answer(container) }
}

var _ = Describe("Logs", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })
	AfterEach(func() { Expect(h.logs.inUse()).To(BeZero(), "the memory of logs is given back") })

	Context("that cannot be read for a cause that might heal", func() {
		BeforeEach(func() { h.logs.read = everyLog(unreachable) })

		It("are read again, ever less often, while nothing is stored", func(ctx SpecContext) {
			object := completed(ctx, aJob())

			var waits []time.Duration
			for range 8 {
				wait := h.reconcile(ctx, object).RequeueAfter
				waits = append(waits, wait)
				h.step(wait)
			}

			Expect(waits).To(Equal([]time.Duration{
				time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
				16 * time.Second, 20 * time.Second, 20 * time.Second, 20 * time.Second,
			}))
			Expect(resultsIn(ctx)).To(BeEmpty())
			Expect(read(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
			Expect(eventsOf(ctx, object, "")).To(ConsistOf(And(
				HaveField("Type", corev1.EventTypeWarning), HaveField("Action", api.ActionHandle),
				HaveField("Note", ContainSubstring(results.ReasonNodeUnreachable)))))
		})

		It("are stored once they can be read, and the Job goes on as if nothing had been", func(ctx SpecContext) {
			object := completed(ctx, aJob())
			for range 3 {
				h.step(h.reconcile(ctx, object).RequeueAfter)
			}
			h.logs.read = nil

			h.settle(ctx, object)

			stored := expectStored(ctx, object)
			Expect(stored.Data[api.DataLogs]).To(ContainSubstring("hello from"))
			Expect(recordOf(stored).Capture.Complete).To(BeTrue())
			Expect(outcomesOf(ctx, object)).To(ConsistOf(HaveField("Type", corev1.EventTypeNormal)))
			expectGone(ctx, object)
		})

		It("are given up at the deadline; then the results say so, and Job and pods stay", func(ctx SpecContext) {
			object := completed(ctx, aJob())
			pod := &corev1.PodList{}
			began := h.clock.Now()

			h.settle(ctx, object)

			Expect(h.clock.Now().Sub(began)).To(Equal(logDeadline))
			stored := expectStored(ctx, object)
			Expect(stored.Data[api.DataLogs]).To(ContainSubstring("no log: " + results.ReasonNodeUnreachable))
			Expect(stored.Labels).To(HaveKeyWithValue(api.StatusLabel, api.StatusCompleted))
			record := recordOf(stored)
			Expect(record.Capture.Complete).To(BeFalse())
			Expect(record.Pods[0].Containers[0].Capture.Reason).To(Equal(results.ReasonNodeUnreachable))

			left := read(ctx, object)
			Expect(left.Annotations).To(And(
				HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted),
				HaveKeyWithValue(api.CaptureAnnotation, HavePrefix(api.CaptureKeptPrefix+results.ReasonNodeUnreachable))))
			Expect(left.Spec.TTLSecondsAfterFinished).To(BeNil())
			Expect(kube.List(ctx, pod, client.InNamespace(namespace))).To(Succeed())
			Expect(pod.Items).To(HaveLen(1))
			Expect(outcomesOf(ctx, object)).To(ConsistOf(
				HaveField("Type", corev1.EventTypeNormal),
				And(HaveField("Type", corev1.EventTypeWarning), HaveField("Note", ContainSubstring("incomplete")))))

			h.forgetWrites()
			h.logs.read = nil
			for _, process := range []*handler{h, h.restarted()} {
				Expect(process.reconcile(ctx, object).RequeueAfter).To(BeZero())
				Expect(process.written()).To(BeEmpty())
			}
		})

		It("are given up at once where no time is given", func(ctx SpecContext) {
			h.Options.LogDeadline = 0
			object := completed(ctx, aJob())

			Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

			expectStored(ctx, object)
			Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		})

		It("keep a Job like a failed one: by the delay of a failure", func(ctx SpecContext) {
			object := completed(ctx, aJob().
				Annotation(api.DeleteAfterSuccessAnnotation, "0s").Annotation(api.DeleteAfterFailureAnnotation, "1h"))

			h.settle(ctx, object)

			Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		})

		It("keep a Job whatever its own TTL, which would take it and its logs away", func(ctx SpecContext) {
			object := completed(ctx, aJob().TTL(0))

			h.settle(ctx, object)

			expectStored(ctx, object)
			left := read(ctx, object)
			Expect(left.DeletionTimestamp).To(BeNil())
			Expect(left.Spec.TTLSecondsAfterFinished).To(BeNil())
			Expect(left.Annotations).NotTo(HaveKey(api.TTLAnnotation))
		})

		It("do not hold a Job up that is already being deleted", func(ctx SpecContext) {
			object := completed(ctx, aJob())
			change(ctx, object, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/somebody-else"} })
			Expect(h.reconcile(ctx, object).RequeueAfter).NotTo(BeZero())
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

			Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

			expectStored(ctx, object)
		})

		It("are not read again for a Job that is gone", func(ctx SpecContext) {
			object := completed(ctx, aJob())
			h.reconcile(ctx, object)
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

			Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

			Expect(h.logs.readings()).To(Equal(1))
			Expect(resultsIn(ctx)).To(BeEmpty())
		})

		It("do not let the Job's own short TTL run out meanwhile", func(ctx SpecContext) {
			object := completed(ctx, aJob().TTL(10))
			h.Options.LogDeadline = 3 * time.Hour
			for range mostPasses {
				h.step(h.reconcile(ctx, object).RequeueAfter + time.Minute)
				now := read(ctx, object)
				end := now.Status.CompletionTime.Add(time.Duration(*now.Spec.TTLSecondsAfterFinished) * time.Second)
				Expect(end.Sub(h.clock.Now())).To(BeNumerically(">", 20*time.Minute))
			}
			Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("10;raised=")))

			h.logs.read = nil
			h.settle(ctx, object)
			Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		})
	})

	It("that nobody can read any more do not hold a Job up, nor keep it", func(ctx SpecContext) {
		h.logs.read = everyLog(gone)
		object := completed(ctx, aJob())
		var capture string
		h.before = func(ctx context.Context, w write) error {
			if w.what == deleteJob {
				capture = read(ctx, object).Annotations[api.CaptureAnnotation]
			}
			return nil
		}

		h.settle(ctx, object)

		Expect(h.logs.readings()).To(Equal(1))
		Expect(capture).To(HavePrefix(api.CaptureIncompletePrefix + results.ReasonContainerGone))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("no log: " + results.ReasonContainerGone))
		Expect(outcomesOf(ctx, object)).To(ConsistOf(
			HaveField("Type", corev1.EventTypeNormal), HaveField("Type", corev1.EventTypeWarning)))
		expectGone(ctx, object)
	})

	It("of which one might heal and one will not are read again", func(ctx SpecContext) {
		h.logs.read = func(pod *corev1.Pod, container string) results.ContainerLog {
			if pod.Name == "job-0" {
				return gone(container)
			}
			return unreachable(container)
		}
		object := running(ctx, aJob())
		addPod(ctx, object, named("job-0"), ended(0))
		addPod(ctx, object, named("job-1"), ended(0))
		complete(ctx, object, 2)

		Expect(h.reconcile(ctx, object).RequeueAfter).NotTo(BeZero())
		Expect(resultsIn(ctx)).To(BeEmpty())

		h.settle(ctx, object)
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(And(
			ContainSubstring(results.ReasonContainerGone), ContainSubstring(results.ReasonNodeUnreachable)))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})

	It("and messages with credentials are stored without them", func(ctx SpecContext) {
		rules, err := redact.New(true, nil)
		Expect(err).NotTo(HaveOccurred())
		h = newHandler(func(o *job.Options) { o.Redact = rules })
		h.logs.read = everyLog(func(container string) results.ContainerLog {
			log := whole(container, "a line\n")
			log.Redacted = redact.Counts{"jwt": 3}
			return log
		})
		object := running(ctx, aJob())
		addPod(ctx, object, ended(0), func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].State.Terminated.Message = "password=hunter2"
		})
		complete(ctx, object, 1)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Data[api.DataContainers]).To(ContainSubstring("password=[redacted password]"))
		Expect(recordOf(stored).Redacted).To(Equal(map[string]int64{"jwt": 3, "password": 1}))
	})

	It("whose reading is cut short leave everything as it was", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		ending, cancel := context.WithCancel(ctx)
		h.logs.during = func(context.Context) error {
			cancel()
			return context.Canceled
		}

		_, err := h.pass(ending, object)

		Expect(err).To(MatchError(context.Canceled))
		Expect(h.written()).To(BeEmpty())
		h.logs.during = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
	})

	It("that take long hold up nobody else", func(ctx SpecContext) {
		slow, fast := completed(ctx, aJobCalled("slow")), completed(ctx, aJobCalled("fast"))
		reading, goOn := make(chan struct{}), make(chan struct{})
		h.logs.during = func(ctx context.Context) error {
			h.logs.during = nil
			close(reading)
			select {
			case <-goOn:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := h.pass(ctx, slow)
			done <- err
		}()
		Eventually(ctx, reading).Should(BeClosed())

		h.settle(ctx, fast)

		expectGone(ctx, fast)
		Expect(read(ctx, slow).DeletionTimestamp).To(BeNil())
		close(goOn)
		Eventually(ctx, done).Should(Receive(BeNil()))
		expectGone(ctx, slow)
		expectStored(ctx, slow)
	}, SpecTimeout(specTimeout))

	DescribeTable("of any kind are stored within what the API server takes, and verified", func(ctx SpecContext, pods int, text string, fits bool) {
		h.logs.read = everyLog(func(container string) results.ContainerLog { return whole(container, text) })
		object := running(ctx, aJob())
		for range pods {
			addPod(ctx, object, ended(0))
		}
		complete(ctx, object, int32(pods))

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(recordOf(stored).Capture.Complete).To(Equal(fits))
		expectGone(ctx, object)
	},
		Entry("many small ones", 30, "a line\n", true),
		Entry("one that is too long", 1, noise(2<<20), false),
		Entry("many that are too long", 12, noise(1<<20), false),
		Entry("many that fit compressed", 12, strings.Repeat("0123456789abcde\n", 1<<16), true),
		Entry("one long line", 1, strings.Repeat("x", 2<<20), false),
		Entry("bytes that are no text", 1, "a\x00b\xff\xfe\x1b[31m\r\nc\xe2\x80", true),
		Entry("quotes without end", 3, strings.Repeat(`"\`, 1<<19), true),
		Entry("nothing", 2, "", true),
	)
})
