package job_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// countingJobs has the processes count in one registry, as one manager after the
// other does for whoever scrapes them. It returns what was counted: values of
// counters, and how many values histograms have, by name and label values; what is 0
// is left out.
func countingJobs(processes ...*job.Reconciler) func() map[string]float64 {
	GinkgoHelper()
	registry := prometheus.NewRegistry()
	jobs, err := metrics.NewJobs(registry)
	Expect(err).NotTo(HaveOccurred())
	for _, process := range processes {
		process.Jobs = jobs
	}
	return func() map[string]float64 {
		GinkgoHelper()
		families, err := registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		values := map[string]float64{}
		for _, family := range families {
			for _, series := range family.GetMetric() {
				key := strings.TrimPrefix(family.GetName(), metrics.Prefix)
				for _, pair := range series.GetLabel() {
					key += " " + pair.GetValue()
				}
				if value := series.GetCounter().GetValue() + float64(series.GetHistogram().GetSampleCount()); value > 0 {
					values[key] = value
				}
			}
		}
		return values
	}
}

// storedOnce is what is counted of a run, with what else was.
func storedOnce(outcome, capture string, logBytes int, more map[string]float64) map[string]float64 {
	all := map[string]float64{
		"jobs_stored_total " + capture + " " + outcome: 1, "finish_to_stored_seconds " + outcome: 1, "results_size_bytes": 1,
		"log_kept_bytes_total": float64(logBytes),
	}
	maps.Copy(all, more)
	return all
}

var _ = Describe("What becomes of a Job is counted once", func() {
	const text = "hello\n"
	talking := func(h *handler) *handler {
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return whole(container, text) }
		return h
	}
	var h *handler
	BeforeEach(func() { h = talking(newHandler()) })

	It("where it completes, with its deletion", func(ctx SpecContext) {
		counted := countingJobs(h.Reconciler)
		h.settle(ctx, completed(ctx, aJob()))
		Expect(counted()).To(Equal(storedOnce("completed", "complete", len(text), map[string]float64{"finish_to_deleted_seconds completed": 1})))
	})

	It("where it fails and is kept, however often it is looked at", func(ctx SpecContext) {
		counted := countingJobs(h.Reconciler)
		object := failed(ctx, aJob())
		for range 3 {
			h.settle(ctx, object)
		}
		Expect(counted()).To(Equal(storedOnce("failed", "complete", len(text), nil)))
	})

	DescribeTable("where the answer to a write is lost", func(ctx SpecContext, what string) {
		counted := countingJobs(h.Reconciler)
		object := failed(ctx, aJob())
		h.after = func(_ context.Context, w write) error {
			if w.what == what {
				h.after = nil
				return errCrash
			}
			return nil
		}
		h.settle(ctx, object)
		Expect(counted()).To(Equal(storedOnce("failed", "complete", len(text), map[string]float64{"retries_total passing": 1})))
	},
		Entry("of the results", createResults), Entry("of the Event", createEvent), Entry("of the report", patchJob))

	It("where the Job changes in the middle", func(ctx SpecContext) {
		counted := countingJobs(h.Reconciler)
		object := failed(ctx, aJob())
		h.before = func(ctx context.Context, w write) error {
			if w.what == patchJob {
				h.before = nil
				annotate(ctx, object, "example.com/touched", "yes")
			}
			return nil
		}
		h.settle(ctx, object)
		Expect(counted()).To(Equal(storedOnce("failed", "complete", len(text), map[string]float64{"retries_total conflict": 1})))
	})

	It("where a process ends before it has told, and the next one goes on", func(ctx SpecContext) {
		next := h.restarted()
		counted := countingJobs(h.Reconciler, next.Reconciler)
		object := failed(ctx, aJob())
		h.before = failing(patchJob, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		next.settle(ctx, object)
		next.settle(ctx, object)
		Expect(counted()).To(Equal(storedOnce("failed", "complete", len(text), map[string]float64{"retries_total passing": 1})))
	})

	It("where its results were stored and are missing before it is deleted", func(ctx SpecContext) {
		next := h.restarted()
		counted := countingJobs(h.Reconciler, next.Reconciler)
		object := failed(ctx, aJob())
		h.settle(ctx, object)
		Expect(kube.Delete(ctx, onlyResults(ctx))).To(Succeed())
		annotate(ctx, object, api.DeleteAfterFailureAnnotation, "0s")
		next.settle(ctx, object)
		expectGone(ctx, object)
		Expect(counted()).To(Equal(storedOnce("failed", "complete", len(text), map[string]float64{
			"results_missing_total": 1, "finish_to_deleted_seconds failed": 1,
		})))
	})

	It("with what is refused, by cause, and what was left out and replaced", func(ctx SpecContext) {
		set, err := redact.New(true, nil)
		Expect(err).NotTo(HaveOccurred())
		h = talkative(func(o *job.Options) { o.Redact = set; o.MaxResultsBytes = results.MinBytes })
		counted := countingJobs(h.Reconciler)
		object := failed(ctx, aJob())
		pod := &corev1.PodList{}
		Expect(kube.List(ctx, pod, client.InNamespace(namespace))).To(Succeed())
		pod.Items[0].Status.ContainerStatuses[0].State.Terminated.Message = "dial pg://me:hunter2@db: refused"
		Expect(kube.Status().Update(ctx, &pod.Items[0])).To(Succeed())
		refused := 0
		h.before = func(_ context.Context, w write) error {
			if refused++; w.what == createResults && refused <= 2 {
				return apierrors.NewForbidden(corev1.Resource("configmaps"), w.object.GetName(), errors.New("exceeded quota: small"))
			}
			return nil
		}
		h.settle(ctx, object)
		values := counted()
		record := recordOf(onlyResults(ctx)).Pods[0].Containers[0].Capture
		Expect(values).To(And(
			HaveKeyWithValue("jobs_stored_total incomplete failed", 1.0), HaveKeyWithValue("refusals_total quota", BeNumerically(">=", 1)),
			HaveKeyWithValue("retries_total refused", BeNumerically(">=", 1)), HaveKeyWithValue("redactions_total", 1.0),
			HaveKeyWithValue("log_kept_bytes_total", float64(record.BytesKept)),
			HaveKeyWithValue("log_left_out_bytes_total", float64(record.BytesSeen-record.BytesKept))))
	})

	It("with how often its logs were read in vain, and that it is kept for that", func(ctx SpecContext) {
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog {
			return results.ContainerLog{Container: container, Capture: results.Capture{Reason: results.ReasonLogUnavailable, Retryable: true}}
		}
		counted := countingJobs(h.Reconciler)
		h.settle(ctx, completed(ctx, aJob()))
		values := counted()
		Expect(values).To(And(HaveKeyWithValue("jobs_stored_total kept completed", 1.0), HaveKeyWithValue("retries_total logs", BeNumerically(">", 3))))
		Expect(values).NotTo(HaveKey(HavePrefix("finish_to_deleted_seconds")))
	})
})

var _ = Describe("The time that a Job takes", func() {
	It("counts from its end", func(ctx SpecContext) {
		h := newHandler()
		registry := prometheus.NewRegistry()
		jobs, err := metrics.NewJobs(registry)
		Expect(err).NotTo(HaveOccurred())
		h.Jobs = jobs
		object := completed(ctx, aJob())
		h.clock.SetTime(object.Status.CompletionTime.Add(7 * time.Second))
		h.settle(ctx, object)
		families, err := registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		sums := map[string]float64{}
		for _, family := range families {
			for _, series := range family.GetMetric() {
				sums[family.GetName()] += series.GetHistogram().GetSampleSum()
			}
		}
		Expect(sums).To(And(HaveKeyWithValue("job_handler_finish_to_stored_seconds", 7.0), HaveKeyWithValue("job_handler_finish_to_deleted_seconds", 7.0)))
		size := 0
		stored := onlyResults(ctx)
		for _, value := range stored.Data {
			size += len(value)
		}
		Expect(sums).To(HaveKeyWithValue("job_handler_results_size_bytes", float64(size)))
	})
})

var _ = Describe("Jobs that are gone", func() {
	var fake *logs
	var counted func() map[string]float64
	var backlog func() metrics.Backlog

	// watch starts a manager that counts.
	watch := func(ctx SpecContext) {
		GinkgoHelper()
		startChangedManager(ctx, logr.Logger{}, fake, func(r *job.Reconciler) {
			counted, backlog = countingJobs(r), func() metrics.Backlog {
				jobs, oldest := r.Ledger.Backlog(r.Clock.Now())
				return metrics.Backlog{Jobs: jobs, Oldest: oldest}
			}
		}, namespace)
	}
	// neverRead has reading logs take until the manager ends.
	neverRead := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	remove := func(ctx context.Context, object client.Object) {
		GinkgoHelper()
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
	}
	notLost := func() { Consistently(counted).ShouldNot(HaveKey("results_lost_total")) }

	BeforeEach(func() { fake = &logs{} })

	It("count as lost where they had finished and have no results", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		watch(ctx)
		object, other, unfinished := failed(ctx, aJob()), failed(ctx, aJobCalled("other")), running(ctx, aJobCalled("unfinished"))
		Eventually(backlog).Should(HaveField("Jobs", 2))
		Expect(backlog().Oldest).To(And(BeNumerically(">", 0), BeNumerically("<", time.Minute)))
		remove(ctx, unfinished)
		remove(ctx, object)
		Eventually(counted).Should(HaveKeyWithValue("results_lost_total", 1.0))
		Expect(backlog().Jobs).To(Equal(1))

		// A Job of the same name is another run.
		remove(ctx, other)
		create(ctx, stamped(aJobCalled("other")))
		Eventually(counted).Should(HaveKeyWithValue("results_lost_total", 2.0))
		Consistently(counted).Should(HaveKeyWithValue("results_lost_total", 2.0))
		Expect(backlog()).To(Equal(metrics.Backlog{}))
	}, SpecTimeout(specTimeout))

	It("do not where they have results, though nobody told so", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		crashing := newHandler()
		crashing.before = failing(patchJob, errCrash)
		_, err := crashing.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		expectStored(ctx, object)
		fake.during = neverRead
		watch(ctx)
		Eventually(backlog).Should(HaveField("Jobs", 1))
		remove(ctx, object)
		Eventually(backlog).Should(HaveField("Jobs", 0))
		notLost()
	}, SpecTimeout(specTimeout))

	It("do not where their label alone is gone, nor where their namespace goes", func(ctx SpecContext) {
		fake.during = neverRead
		watch(ctx)
		object, last := failed(ctx, aJob()), failed(ctx, aJobCalled("last"))
		Eventually(backlog).Should(HaveField("Jobs", 2))
		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
		Eventually(backlog).Should(HaveField("Jobs", 1))
		terminating(ctx)
		remove(ctx, last)
		Eventually(backlog).Should(HaveField("Jobs", 0))
		notLost()
	}, SpecTimeout(specTimeout))

	It("are asked for again where that cannot be found out", func(ctx SpecContext) {
		fake.during = neverRead
		var asked atomic.Int32
		startChangedManager(ctx, logr.Logger{}, fake, func(r *job.Reconciler) {
			counted, backlog = countingJobs(r), func() metrics.Backlog {
				jobs, oldest := r.Ledger.Backlog(r.Clock.Now())
				return metrics.Backlog{Jobs: jobs, Oldest: oldest}
			}
			r.Store.Live = interceptor.NewClient(manager, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
					if _, isResults := object.(*corev1.ConfigMap); isResults && asked.Add(1) <= 2 {
						return apierrors.NewServiceUnavailable("try again")
					}
					return c.Get(ctx, key, object, opts...)
				},
			})
		}, namespace)
		object := failed(ctx, aJob())
		Eventually(backlog).Should(HaveField("Jobs", 1))
		remove(ctx, object)
		Eventually(counted).Should(HaveKeyWithValue("results_lost_total", 1.0))
		Expect(asked.Load()).To(BeNumerically(">", 2))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A deleted Job whose fate cannot be looked up", func() {
	It("does not hold up the next Job of its name, and is counted later", func(ctx SpecContext) {
		h := newHandler()
		counted := countingJobs(h.Reconciler)
		object := completed(ctx, aJob())
		deleted := object.DeepCopy()
		deleted.UID = "deleted"
		h.Ledger.Left(deleted)
		live := h.Live
		h.Live = interceptor.NewClient(h.base, interceptor.Funcs{
			Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
				if key.Name == namespace {
					return apierrors.NewServiceUnavailable("try again")
				}
				return live.Get(ctx, key, object, opts...)
			},
		})
		Expect(h.reconcile(ctx, object).RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", time.Minute)))
		expectStored(ctx, object)
		Expect(counted()).NotTo(HaveKey("results_lost_total"))

		h.Live = live
		h.settle(ctx, object)
		Expect(counted()).To(HaveKeyWithValue("results_lost_total", 1.0))
	})
})
