package job_test

import (
	"context"
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

var errCrash = errors.New("connection lost")

// failing answers every write of this kind with err.
func failing(what string, err error) func(context.Context, write) error {
	return func(_ context.Context, w write) error {
		if w.what == what {
			return err
		}
		return nil
	}
}

var _ = Describe("A crash, or an answer that gets lost, at any write", func() {
	// scenario is a Job with the state that it ends in.
	type scenario struct {
		name   string
		finish func(context.Context, *jobtest.JobBuilder) *batchv1.Job
		change func(*jobtest.JobBuilder)
		writes []string
		end    func(context.Context, *batchv1.Job)
	}
	keptAs := func(status string, ttl *int32) func(context.Context, *batchv1.Job) {
		return func(ctx context.Context, object *batchv1.Job) {
			GinkgoHelper()
			now := read(ctx, object)
			Expect(now.DeletionTimestamp).To(BeNil())
			Expect(now.Spec.TTLSecondsAfterFinished).To(Equal(ttl))
			Expect(now.Annotations).To(And(
				HaveKeyWithValue(api.StatusAnnotation, status),
				HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete),
				HaveKeyWithValue(api.ResultsNameAnnotation, "job-results"),
				Not(HaveKey(api.TTLAnnotation))))
		}
	}
	scenarios := []scenario{{
		name: "success", finish: completed,
		change: func(*jobtest.JobBuilder) {},
		writes: []string{createResults, createEvent, patchJob, deleteJob},
		end:    func(ctx context.Context, object *batchv1.Job) { expectGone(ctx, object) },
	}, {
		name: "failure", finish: failed,
		change: func(*jobtest.JobBuilder) {},
		writes: []string{createResults, createEvent, patchJob},
		end:    keptAs(api.StatusFailed, nil),
	}, {
		name: "delay", finish: completed,
		change: func(b *jobtest.JobBuilder) { b.TTL(10) },
		writes: []string{createResults, createEvent, patchJob},
		end:    keptAs(api.StatusCompleted, new(int32(10))),
	}, {
		name: "short TTL that admission missed", finish: func(ctx context.Context, b *jobtest.JobBuilder) *batchv1.Job {
			object := completed(ctx, b)
			return change(ctx, object, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32(10)) })
		},
		change: func(*jobtest.JobBuilder) {},
		writes: []string{patchJob, createResults, createEvent, patchJob},
		end:    keptAs(api.StatusCompleted, new(int32(10))),
	}, {
		name: "protected success", finish: completed,
		change: func(b *jobtest.JobBuilder) { protect(b) },
		writes: []string{createResults, createEvent, patchJob, deleteJob},
		end:    func(ctx context.Context, object *batchv1.Job) { expectGone(ctx, object) },
	}, {
		name: "protected Job that somebody deleted", finish: func(ctx context.Context, b *jobtest.JobBuilder) *batchv1.Job {
			return deleted(ctx, failed(ctx, b))
		},
		change: func(b *jobtest.JobBuilder) { protect(b) },
		writes: []string{createResults, createEvent, patchJob},
		end:    func(ctx context.Context, object *batchv1.Job) { expectGone(ctx, object) },
	}}

	// at runs f at the nth write.
	at := func(n int, f func() error) func(context.Context, write) error {
		return func(context.Context, write) error {
			if n--; n == 0 {
				return f()
			}
			return nil
		}
	}

	for _, s := range scenarios {
		Describe("of the flow of a "+s.name, func() {
			finished := func(ctx context.Context) *batchv1.Job {
				GinkgoHelper()
				builder := aJob()
				s.change(builder)
				return s.finish(ctx, builder)
			}
			expectEnd := func(ctx context.Context, object *batchv1.Job) {
				GinkgoHelper()
				s.end(ctx, object)
				expectStored(ctx, object)
				Expect(resultsIn(ctx)).To(HaveLen(1))
				Expect(eventsOf(ctx, object, "")).To(ConsistOf(HaveField("Action", api.ActionStore)))
			}

			It("has these writes", func(ctx SpecContext) {
				object, h := finished(ctx), newHandler()
				h.settle(ctx, object)
				Expect(h.written()).To(Equal(s.writes))
				expectEnd(ctx, object)
			})

			for k, what := range s.writes {
				It(fmt.Sprintf("ends the same if the process dies before write %d (%s)", k+1, what), func(ctx SpecContext) {
					object, h := finished(ctx), newHandler()
					h.before = at(k+1, func() error { return errCrash })
					_, err := h.pass(ctx, object)
					Expect(err).To(MatchError(errCrash))

					h.restarted().settle(ctx, object)
					expectEnd(ctx, object)
				})

				It(fmt.Sprintf("ends the same if the process dies after write %d (%s)", k+1, what), func(ctx SpecContext) {
					object, h := finished(ctx), newHandler()
					h.after = at(k+1, func() error { return errCrash })
					_, err := h.pass(ctx, object)
					Expect(err).To(MatchError(errCrash))

					h.restarted().settle(ctx, object)
					expectEnd(ctx, object)
				})

				It(fmt.Sprintf("ends the same if the process lives on after losing write %d (%s) or its answer", k+1, what), func(ctx SpecContext) {
					object, h := finished(ctx), newHandler()
					h.before = at(k+1, func() error { return errCrash })
					h.after = at(k+1, func() error { return errCrash })
					for range 2 {
						_, err := h.pass(ctx, object)
						Expect(err).To(MatchError(errCrash))
					}

					h.settle(ctx, object)
					expectEnd(ctx, object)
				})
			}
		})
	}

	It("ends the same if it happens at every single write", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h := newHandler()
		for range 4 {
			h.after = at(len(h.written())+1, func() error { return errCrash })
			_, err := h.pass(ctx, object)
			Expect(err).To(MatchError(errCrash))
			h = h.restarted()
		}
		h.settle(ctx, object)
		expectGone(ctx, object)
		expectStored(ctx, object)
		Expect(eventsOf(ctx, object, "")).To(HaveLen(1))
	})

	DescribeTable("ends the same whatever becomes of pods and logs that are stored already", func(ctx SpecContext, lose func(context.Context, *handler)) {
		object := completed(ctx, aJob())
		h := newHandler()
		h.before = failing(createEvent, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		lose(ctx, h)

		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		Expect(outcomesOf(ctx, object)).To(ConsistOf(HaveField("Type", corev1.EventTypeNormal)))
	},
		Entry("pods are collected", func(ctx context.Context, _ *handler) {
			Expect(kube.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0))).To(Succeed())
		}),
		Entry("a node is away", func(_ context.Context, h *handler) {
			h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
		}),
		Entry("containers are removed", func(_ context.Context, h *handler) {
			h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return gone(container) }
		}),
	)

	It("keeps a Job whose results were stored without its logs, also if they can be read by then", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h := newHandler()
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
		h.reconcile(ctx, object)
		h.step(logDeadline)
		h.before = failing(createEvent, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		h.logs.read = nil

		h.restarted().settle(ctx, object)

		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeFalse())
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(
			api.CaptureAnnotation, HavePrefix(api.CaptureKeptPrefix+results.ReasonNodeUnreachable)))
	})

	It("deletes a Job whose logs were lost for good, as if nothing had happened", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h := newHandler()
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return gone(container) }
		h.after = failing(createResults, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))

		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(2))
	})
})
