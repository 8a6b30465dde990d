package job_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

// deleteConfigMap is how captures are deleted.
const deleteConfigMap = "delete ConfigMap"

// exactLogs returns the logs of results as they were written, all in one object.
func exactLogs(cm *corev1.ConfigMap) string {
	GinkgoHelper()
	packed, there := cm.BinaryData[api.DataLogsGzip]
	if !there {
		return cm.Data[api.DataLogs]
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	Expect(err).NotTo(HaveOccurred())
	text, err := io.ReadAll(reader)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// repeated returns what so often.
func repeated(what string, times int) []any {
	list := make([]any, times)
	for i := range list {
		list[i] = what
	}
	return list
}

var _ = Describe("What captures take", func() {
	const deletedPods = 20
	var (
		h         *handler
		screen    *console
		following context.Context
	)

	// counting has the process know that results take so much, within a budget. It
	// returns what they take later.
	counting := func(taken, budget int64) (now func() float64) {
		GinkgoHelper()
		registry := prometheus.NewRegistry()
		m, err := metrics.NewRetention(registry)
		Expect(err).NotTo(HaveOccurred())
		h.Store.Holdings = holdings.New(holdings.Options{Budgets: retain.Budgets{Namespace: budget}, Horizon: time.Hour}, h.clock, m)
		h.Store.Holdings.Counted(map[string]int64{namespace: taken}, nil)
		return func() float64 {
			GinkgoHelper()
			families, err := registry.Gather()
			Expect(err).NotTo(HaveOccurred())
			for _, family := range families {
				if family.GetName() == "job_handler_results_bytes" {
					return family.GetMetric()[0].GetGauge().GetValue()
				}
			}
			return 0
		}
	}
	restart := func() {
		held := h.Store.Holdings
		h = h.restarted()
		h.PodLogs.Captures, h.Store.Holdings = capturesAt(screen, h.clock, 0), held
	}
	// captured has pods of the Job be deleted, each after it wrote a log, and has the
	// process store what is due.
	captured := func(ctx SpecContext, object *batchv1.Job, text func(pod string) string) {
		GinkgoHelper()
		for i := range deletedPods {
			name := fmt.Sprintf("pod-%02d", i)
			pod := addPod(ctx, object, named(name), atWork)
			Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			screen.write(name, text(name))
			screen.end(name)
			h.PodLogs.Captures.Begin(following, object.UID, pod.DeepCopy(), true)
			Eventually(func() bool { return h.PodLogs.Captures.Following(object.UID) }).Should(BeFalse())
			Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
			terminate(pod, 143)
			h.PodLogs.Captures.Gone(object.UID, pod)
			if i%4 == 3 {
				h.step(time.Minute)
				h.save(ctx)
			}
		}
	}
	// failsNow has the Job fail with all those pods, and returns what is stored of it.
	failsNow := func(ctx SpecContext, object *batchv1.Job) results.Record {
		GinkgoHelper()
		fail(ctx, read(ctx, object), deletedPods)
		h.forgetWrites()
		h.settle(ctx, object)
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
		return recordOf(expectStored(ctx, object))
	}
	size := func(objects []corev1.ConfigMap) (bytes int64) {
		for i := range objects {
			bytes += retain.Bytes(&objects[i])
		}
		return bytes
	}
	BeforeEach(func(ctx SpecContext) {
		h = newHandler()
		screen, _ = newConsole(capture.Options{})
		h.PodLogs.Captures = capturesAt(screen, h.clock, 0)
		var cancel context.CancelFunc
		following, cancel = context.WithCancel(context.WithoutCancel(ctx))
		DeferCleanup(func() {
			cancel()
			h.PodLogs.Captures.Stop()
			Expect(screen.streams()).To(BeZero())
		})
	})
	DescribeTable("is counted, and given back once the results of a Job that stays have it", func(ctx SpecContext, again bool) {
		const before = 1 << 20
		object := running(ctx, aJob())
		counted := counting(before, 1<<30)
		captured(ctx, object, linesOf)
		objects := capturesIn(ctx)
		Expect(len(objects)).To(BeNumerically(">=", 4))
		Expect(counted()).To(BeEquivalentTo(before + size(objects)))
		if again {
			restart()
		}

		record := failsNow(ctx, object)

		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts.Seen).To(Equal(deletedPods))
		logs := exactLogs(onlyResults(ctx))
		for i := range deletedPods {
			Expect(strings.Contains(logs, linesOf(fmt.Sprintf("pod-%02d", i)))).To(BeTrue(), "pod %d", i)
		}
		Expect(capturesIn(ctx)).To(BeEmpty())
		Expect(counted()).To(BeEquivalentTo(before + retain.Bytes(onlyResults(ctx))))
		Expect(h.written()).To(HaveExactElements(append(
			[]any{createResults, createEvent, patchJob}, repeated(deleteConfigMap, len(objects))...)...), "after all the rest")
		h.forgetWrites()
		h.settle(ctx, object)
		Expect(h.written()).To(BeEmpty())
	},
		Entry("by the process that stored it", false, SpecTimeout(time.Minute)),
		Entry("by one that took over", true, SpecTimeout(time.Minute)),
	)

	It("is given back where an answer was lost, and somebody else's object has one of the names", func(ctx SpecContext) {
		object := running(ctx, aJob())
		theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: names.Capture(object.Name, object.UID, 0), Labels: map[string]string{api.CreatedLabel: api.True},
		}}
		Expect(kube.Create(ctx, theirs)).To(Succeed())
		lost := 0
		h.after = func(_ context.Context, w write) error {
			if lost++; lost == 1 && w.what == createResults {
				return errors.New("connection reset by peer")
			}
			return nil
		}
		captured(ctx, object, linesOf)
		Expect(capturesIn(ctx)).NotTo(BeEmpty())

		Expect(failsNow(ctx, object).Capture.Complete).To(BeTrue())

		Expect(capturesIn(ctx)).To(BeEmpty())
		Expect(configMap(ctx, theirs.Name).UID).To(Equal(theirs.UID))
	}, SpecTimeout(time.Minute))

	It("is left to garbage collection with a Job that is deleted", func(ctx SpecContext) {
		object := running(ctx, aJob().Annotation(api.DeleteAfterFailureAnnotation, "0s"))
		captured(ctx, object, linesOf)
		objects := capturesIn(ctx)
		Expect(objects).NotTo(BeEmpty())
		fail(ctx, read(ctx, object), deletedPods)
		h.forgetWrites()
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(h.written()).NotTo(ContainElement(deleteConfigMap))
		Expect(capturesIn(ctx)).To(HaveLen(len(objects)))
	}, SpecTimeout(time.Minute))

	DescribeTable("holds no Job up where it cannot be deleted:", func(ctx SpecContext, change func(context.Context, *corev1.ConfigMap) error, answer error) {
		object := running(ctx, aJob())
		captured(ctx, object, linesOf)
		h.before = func(ctx context.Context, w write) error {
			cm, is := w.object.(*corev1.ConfigMap)
			if !is || w.what != deleteConfigMap {
				return nil
			}
			Expect(w.deletion.Preconditions.UID).NotTo(BeNil())
			Expect(w.deletion.Preconditions.ResourceVersion).NotTo(BeNil())
			if change != nil {
				return change(ctx, cm)
			}
			return answer
		}
		objects := capturesIn(ctx)
		Expect(failsNow(ctx, object).Capture.Complete).To(BeTrue())
		Expect(capturesIn(ctx)).To(HaveLen(len(objects)))
		Expect(warningsOf(ctx, object)).To(HaveLen(1), "that of its outcome")
	},
		Entry("refused", nil, errors.New("forbidden"), SpecTimeout(time.Minute)),
		Entry("changed by somebody", func(ctx context.Context, cm *corev1.ConfigMap) error {
			now := &corev1.ConfigMap{}
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(cm), now)).To(Succeed())
			now.Labels["touched"] = "yes"
			return kube.Update(ctx, now)
		}, nil, SpecTimeout(time.Minute)),
	)

	It("is bounded above the budget of a namespace, and what is short says why", func(ctx SpecContext) {
		object := running(ctx, aJob())
		counting(1<<20, 1<<20)
		captured(ctx, object, func(pod string) string { return linesOf(pod) + noise(200<<10) })

		objects := capturesIn(ctx)
		Expect(size(objects)).To(And(BeNumerically("<=", 128<<10), BeNumerically(">", 32<<10)))
		Expect(warningsOf(ctx, object)).To(ContainElement(And(
			ContainSubstring("in the manager's memory only"), ContainSubstring("1Mi (--max-results-bytes-per-namespace)"))))
		restart()

		record := failsNow(ctx, object)

		Expect(record.Capture.Complete).To(BeFalse())
		short := 0
		for _, pod := range record.Pods {
			c := pod.Containers[0].Capture
			Expect(c.Complete).To(BeFalse(), pod.Name)
			if c.Reason == results.ReasonNamespaceBudget {
				Expect(c.Message).To(ContainSubstring("the pod was deleted while results were above their limit"))
				short++
			}
		}
		Expect(short).To(BeNumerically(">=", 10))
		Expect(record.PodCounts.Seen + record.PodCounts.Missing).To(Equal(deletedPods))
		Expect(capturesIn(ctx)).To(BeEmpty())
	}, SpecTimeout(time.Minute))

	It("costs results nothing while the process goes on that captured it", func(ctx SpecContext) {
		object := running(ctx, aJob())
		counting(1<<20, 1<<20)
		captured(ctx, object, func(pod string) string { return noise(20<<10) + linesOf(pod) })
		counting(0, 1<<30)
		Expect(failsNow(ctx, object).Capture.Complete).To(BeTrue())
	}, SpecTimeout(time.Minute))
})
