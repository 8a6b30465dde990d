package job_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

var _ = Describe("A namespace with a budget", func() {
	const budget = 5 << 20

	// withBudget returns a process whose Jobs write largeLog bytes, and which
	// knows that results take so much.
	withBudget := func(taken int64) *handler {
		GinkgoHelper()
		h := talkative()
		m, err := metrics.NewRetention(prometheus.NewRegistry())
		Expect(err).NotTo(HaveOccurred())
		h.Store.Holdings = holdings.New(holdings.Options{Budgets: retain.Budgets{Namespace: budget}, Horizon: time.Hour}, h.clock, m)
		h.Store.Holdings.Counted(map[string]int64{namespace: taken}, nil)
		return h
	}
	logBytes := func(cm *corev1.ConfigMap) int {
		return len(cm.Data[api.DataLogs]) + len(cm.BinaryData[api.DataLogsGzip])
	}
	warned := ContainElement(ContainSubstring("--max-results-bytes-per-namespace"))

	It("gets whole results up to it and short ones above, until there is room again", func(ctx SpecContext) {
		h := withBudget(budget - 1)
		within := completed(ctx, aJobCalled("within"))
		h.settle(ctx, within)
		Expect(recordOf(expectStored(ctx, within)).Capture.Complete).To(BeTrue())
		Expect(partsIn(ctx)).NotTo(BeEmpty())
		Expect(warningsOf(ctx, within)).NotTo(warned)
		parts := len(partsIn(ctx))

		above, next := completed(ctx, aJobCalled("above")), completed(ctx, aJobCalled("next"))
		for _, object := range []*batchv1.Job{above, next} {
			h.settle(ctx, object)
			expectGone(ctx, object)
			stored := expectStored(ctx, object)
			Expect(logBytes(stored)).To(And(BeNumerically("<=", 16<<10), BeNumerically(">", 8<<10)))
			Expect(recordOf(stored).Capture.Why).To(HavePrefix(results.ReasonNamespaceBudget))
			Expect(stored.Data[api.DataContainers]).NotTo(BeEmpty())
		}
		Expect(partsIn(ctx)).To(HaveLen(parts))
		Expect(warningsOf(ctx, above)).To(warned)
		Expect(warningsOf(ctx, next)).NotTo(warned, "once an hour")
		h.step(time.Hour)
		later := completed(ctx, aJobCalled("later"))
		h.settle(ctx, later)
		Expect(warningsOf(ctx, later)).To(warned)

		for _, cm := range created(ctx) {
			Expect(kube.Delete(ctx, &cm)).To(Succeed())
			h.Store.Holdings.Freed(namespace, retain.Bytes(&cm))
		}
		whole := completed(ctx, aJobCalled("whole"))
		h.settle(ctx, whole)
		Expect(recordOf(expectStored(ctx, whole)).Capture.Complete).To(BeTrue())
	})

	It("is not shortened while others fill the cluster's, unless it has its share or there is far too much", func(ctx SpecContext) {
		const mebibyte = 1 << 20
		h := withBudget(0)
		m, err := metrics.NewRetention(prometheus.NewRegistry())
		Expect(err).NotTo(HaveOccurred())
		budgets := retain.Budgets{Namespace: 100 * mebibyte, Cluster: 20 * mebibyte}
		h.Store.Holdings = holdings.New(holdings.Options{Budgets: budgets, Horizon: time.Hour}, h.clock, m)
		for name, tc := range map[string]struct {
			here, others int64
			whole        bool
		}{
			"less":    {mebibyte, 20 * mebibyte, true},
			"share":   {10 * mebibyte, 12 * mebibyte, false},
			"far-off": {mebibyte, 30 * mebibyte, false},
		} {
			By(name)
			h.Store.Holdings.Counted(map[string]int64{namespace: tc.here, "others": tc.others}, nil)
			object := completed(ctx, aJobCalled(name))
			h.settle(ctx, object)
			h.step(time.Hour)
			stored := expectStored(ctx, object)
			Expect(recordOf(stored).Capture.Complete).To(Equal(tc.whole), name)
			if !tc.whole {
				Expect(logBytes(stored)).To(BeNumerically("<=", 16<<10))
				Expect(recordOf(stored).Capture.Why).To(HavePrefix(results.ReasonClusterBudget))
				Expect(warningsOf(ctx, object)).To(ContainElement(ContainSubstring("20Mi (--max-results-bytes) or more")))
			}
		}
	})

	It("counts what is adopted once", func(ctx SpecContext) {
		h := withBudget(0)
		object := completed(ctx, aJob())
		h.before = failing(createEvent, errCrash)
		for range 3 {
			_, err := h.pass(ctx, object)
			Expect(err).To(MatchError(errCrash))
		}
		Expect(h.Store.Holdings.Over(namespace)).To(Equal(retain.WithinBudget))
		other := completed(ctx, aJobCalled("other"))
		h.before = nil
		h.settle(ctx, other)
		Expect(h.Store.Holdings.Over(namespace)).To(Equal(retain.NamespaceBudget))
	})

	It("tells when results are to go", func(ctx SpecContext) {
		h := withBudget(0)
		object := completed(ctx, aJob().Annotation(api.ResultsTTLAnnotation, "10s"))
		h.settle(ctx, object)
		next, known := h.Store.Holdings.Next()
		Expect(known).To(BeTrue())
		Expect(next).To(BeTemporally("==", h.clock.Now().Add(10*time.Second)))
		due := h.Store.Holdings.Take(next)
		Expect(due).To(HaveExactElements(HaveField("UID", onlyResults(ctx).UID)))
	})
})

var _ = Describe("Results that have expired", func() {
	// expired deletes the results of the Job as retention does.
	expired := func(ctx SpecContext, name string) {
		GinkgoHelper()
		Expect(kube.Delete(ctx, configMap(ctx, name), client.Preconditions{})).To(Succeed())
	}

	It("are not stored again for a failed Job that is kept, whatever is looked at", func(ctx SpecContext) {
		h := newHandler()
		object := failed(ctx, aJob())
		h.settle(ctx, object)
		expired(ctx, "job-results")

		for _, process := range []*handler{h, h.restarted()} {
			process.forgetWrites()
			process.settle(ctx, object)
			change(ctx, object, func(j *batchv1.Job) { j.Labels["touched"] = "yes" })
			process.settle(ctx, object)
			Expect(process.written()).To(BeEmpty())
		}
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
	})

	It("are stored again before the Job is deleted after all", func(ctx SpecContext) {
		h := newHandler()
		object := failed(ctx, aJob())
		h.settle(ctx, object)
		expired(ctx, "job-results")

		annotate(ctx, object, api.DeleteAfterFailureAnnotation, "0s")
		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		expectStored(ctx, object)
	})
})
