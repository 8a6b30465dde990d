package job_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/results"
)

// forbidConfigMaps has a quota refuse every further ConfigMap in the spec's
// Namespace, and returns what lifts it.
func forbidConfigMaps(ctx SpecContext) (lift func()) {
	GinkgoHelper()
	none := corev1.ResourceList{"count/configmaps": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: none},
	}
	Expect(kube.Create(ctx, quota)).To(Succeed())
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none}
	Expect(kube.Status().Update(ctx, quota)).To(Succeed())
	try := func() error {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "probe-"}}
		return kube.Create(ctx, probe, client.DryRunAll)
	}
	Eventually(ctx, try).Should(Satisfy(apierrors.IsForbidden))
	return func() {
		GinkgoHelper()
		Expect(kube.Delete(ctx, quota)).To(Succeed())
		Eventually(ctx, try).Should(Succeed())
	}
}

var _ = Describe("A refusal that people have to mend", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// expectRefused expects that a pass keeps the Job for a slow retry.
	expectRefused := func(ctx SpecContext, object *batchv1.Job) {
		GinkgoHelper()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		now := read(ctx, object)
		Expect(now.DeletionTimestamp).To(BeNil())
		Expect(now.Annotations).NotTo(HaveKey(api.StatusAnnotation))
	}

	It("by a quota keeps the Job, tells so once an hour, and is tried again every few minutes", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := completed(ctx, aJob())

		for range 59 {
			expectRefused(ctx, object)
			h.step(time.Minute)
		}
		Expect(eventsOf(ctx, object, "")).To(ConsistOf(And(
			HaveField("Type", corev1.EventTypeWarning), HaveField("Action", api.ActionHandle),
			HaveField("Note", ContainSubstring("exceeded quota: none")))))
		for range 60 {
			expectRefused(ctx, object)
			h.step(time.Minute)
		}
		Expect(warningsOf(ctx, object)).To(HaveLen(2))

		lift()
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("in one namespace does not concern another", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		refused := completed(ctx, aJob())
		expectRefused(ctx, refused)

		namespace = optedIn(ctx)
		other := completed(ctx, aJob())
		h.settle(ctx, other)
		expectGone(ctx, other)
		expectRefused(ctx, refused)
	}, SpecTimeout(specTimeout))

	It("does not let the Job's own short TTL run out", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := completed(ctx, aJob().TTL(10))

		for range 12 {
			expectRefused(ctx, object)
			now := read(ctx, object)
			end := now.Status.CompletionTime.Add(time.Duration(*now.Spec.TTLSecondsAfterFinished) * time.Second)
			Expect(end.Sub(h.clock.Now())).To(BeNumerically(">=", ttlFloor/2))
			h.step(20 * time.Minute)
		}

		lift()
		h.settle(ctx, object)
		expectStored(ctx, object)
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	}, SpecTimeout(specTimeout))

	// without returns a process of a user that lacks rights.
	without := func(ctx SpecContext, rights ...apiserver.Right) *handler {
		GinkgoHelper()
		user := "lacks"
		for _, right := range rights {
			user += "-" + right.Verb + "-" + right.Resource
		}
		config, err := kube.Manager(ctx, user, rights...)
		Expect(err).NotTo(HaveOccurred())
		return handlerOf(suite.Client(config), clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second)), &logs{})
	}

	DescribeTable("by missing rights keeps the Job until somebody grants them",
		func(ctx SpecContext, right apiserver.Right, stored, warned bool) {
			h = without(ctx, right)
			object := completed(ctx, aJob())

			for range 3 {
				Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
				Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
				h.step(time.Minute)
			}

			if stored {
				expectStored(ctx, object)
			} else {
				Expect(resultsIn(ctx)).To(BeEmpty())
			}
			var refusals []string
			for _, note := range warningsOf(ctx, object) {
				if strings.Contains(note, "forbidden") {
					refusals = append(refusals, note)
				}
			}
			if warned {
				Expect(refusals).To(HaveLen(1))
				Expect(refusals[0]).To(And(ContainSubstring(right.Verb), ContainSubstring(right.Resource)))
			}

			granted := newHandler()
			granted.settle(ctx, object)
			expectStored(ctx, object)
			Expect(resultsIn(ctx)).To(HaveLen(1))
			expectGone(ctx, object)
			Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		},
		Entry("to create results", apiserver.Right{Resource: "configmaps", Verb: "create"}, false, true),
		Entry("to write Events", apiserver.Right{Group: "events.k8s.io", Resource: "events", Verb: "create"}, true, false),
		Entry("to patch the Job", apiserver.Right{Group: "batch", Resource: "jobs", Verb: "patch"}, true, true),
		Entry("to delete the Job", apiserver.Right{Group: "batch", Resource: "jobs", Verb: "delete"}, true, true),
		Entry("to look at what it stored", apiserver.Right{Resource: "configmaps", Verb: "get"}, true, true),
		Entry("to list pods", apiserver.Right{Resource: "pods", Verb: "list"}, false, true),
	)

	It("to look at the CronJob keeps its Job", func(ctx SpecContext) {
		h = without(ctx, apiserver.Right{Group: "batch", Resource: "cronjobs", Verb: "get"})
		cronJob := jobtest.MakeCronJob(namespace, "nightly").Obj()
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
		object := completed(ctx, aJob().OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID))

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		expectStored(ctx, object)
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})
})

var _ = Describe("A refusal that storing does not depend on", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// refuse has the API server refuse some writes.
	refuse := func(which func(write) bool) {
		h.before = func(_ context.Context, w write) error {
			if which(w) {
				return apierrors.NewForbidden(batchv1.Resource("jobs"), w.object.GetName(), errors.New("not here"))
			}
			return nil
		}
	}

	It("of a Warning lets the results be stored", func(ctx SpecContext) {
		refuse(func(w write) bool {
			event, is := w.object.(*eventsv1.Event)
			return is && event.Type == corev1.EventTypeWarning
		})
		object := completed(ctx, aJob().Annotation(api.LogModeAnnotation, "loud"))
		stranger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: object.Name + "-results"}}
		Expect(kube.Create(ctx, stranger)).To(Succeed())

		h.settle(ctx, object)

		Expect(resultsIn(ctx)).To(HaveLen(1), "besides the stranger's")
		Expect(resultsIn(ctx)[0].Name).To(HavePrefix(stranger.Name + "-"))
		expectGone(ctx, object)
	})

	It("of a longer TTL lets the results be stored before the Job goes", func(ctx SpecContext) {
		refuse(func(w write) bool {
			patched, is := w.object.(*batchv1.Job)
			return is && w.what == patchJob && patched.Annotations[api.StatusAnnotation] == ""
		})
		object := completed(ctx, aJob().TTL(600))
		h.step(50 * time.Minute)

		h.reconcile(ctx, object)

		expectStored(ctx, object)
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusCompleted))
		Expect(eventsOf(ctx, object, "")).To(ContainElement(HaveField("Note", ContainSubstring("may be deleted before"))))
	})
})

var _ = Describe("A namespace that is terminating", func() {
	It("is left: nothing is stored, told or tried again", func(ctx SpecContext) {
		h := newHandler()
		object := completed(ctx, aJob())
		Expect(kube.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())

		Expect(h.reconcile(ctx, object)).To(Equal(ctrl.Result{}))

		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(eventsOf(ctx, object, "")).To(BeEmpty())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})

	It("is left as well with results stored before it", func(ctx SpecContext) {
		h := newHandler()
		object := completed(ctx, aJob())
		h.before = failing(createEvent, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		Expect(kube.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())

		Expect(h.restarted().reconcile(ctx, object)).To(Equal(ctrl.Result{}))
	})
})

var _ = Describe("Results that the API server finds too large", func() {
	var h *handler

	BeforeEach(func() {
		h = newHandler()
		h.logs.read = everyLog(func(container string) results.ContainerLog {
			return whole(container, noise(800_000))
		})
	})

	answers := map[string]error{
		"413": &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusRequestEntityTooLarge,
			Reason: metav1.StatusReasonRequestEntityTooLarge, Message: "limit is 3145728",
		}},
		"422": &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
			Message: `ConfigMap "job-results" is invalid: []: Too long: may not be more than 1048576 bytes`,
		}},
		"500": &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: "etcdserver: request is too large",
		}},
	}
	// above answers so when results above this size are created.
	above := func(limit int, err error) func(context.Context, write) error {
		return func(_ context.Context, w write) error {
			if cm, isConfigMap := w.object.(*corev1.ConfigMap); isConfigMap {
				if size, _ := strconv.Atoi(cm.Annotations[api.BytesAnnotation]); size > limit {
					return err
				}
			}
			return nil
		}
	}

	for _, code := range []string{"413", "422", "500"} {
		It("are stored smaller, and say what was left out: "+code, func(ctx SpecContext) {
			object := completed(ctx, aJob())
			h.before = above(300_000, answers[code])

			h.settle(ctx, object)

			stored := expectStored(ctx, object)
			size, err := strconv.Atoi(stored.Annotations[api.BytesAnnotation])
			Expect(err).NotTo(HaveOccurred())
			Expect(size).To(And(BeNumerically("<=", 300_000), BeNumerically(">", 100_000)))
			Expect(recordOf(stored).Capture.Why).To(ContainSubstring(results.ReasonShortenedToFit))
			Expect(outcomesOf(ctx, object)).To(HaveLen(2))
			expectGone(ctx, object)
		})

		It("are stored very small where nothing else is taken: "+code, func(ctx SpecContext) {
			object := completed(ctx, aJob())
			h.before = above(results.MinBytes, answers[code])

			h.settle(ctx, object)

			expectStored(ctx, object)
			expectGone(ctx, object)
		})

		It("keep the Job, and are tried again slowly, where nothing is taken: "+code, func(ctx SpecContext) {
			object := completed(ctx, aJob())
			h.before = above(0, answers[code])

			for range 3 {
				Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
				h.step(time.Minute)
			}

			Expect(resultsIn(ctx)).To(BeEmpty())
			Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
			Expect(warningsOf(ctx, object)).To(HaveLen(1))
		})
	}
})

var _ = Describe("Trouble that passes", func() {
	troubles := map[string]error{
		"too many requests":  apierrors.NewTooManyRequests("later", 1),
		"an internal error":  apierrors.NewInternalError(errors.New("etcd is electing a leader")),
		"a timeout":          apierrors.NewServerTimeout(batchv1.Resource("jobs"), "create", 1),
		"no answer in time":  context.DeadlineExceeded,
		"an unreachable one": fmt.Errorf("dial tcp 127.0.0.1:6443: %w", errors.New("connect: connection refused")),
	}
	names := []string{"too many requests", "an internal error", "a timeout", "no answer in time", "an unreachable one"}

	for _, name := range names {
		for _, what := range []string{createResults, createEvent, patchJob, deleteJob} {
			It(fmt.Sprintf("is retried by the queue, and ends as if it had not been: %s on %s", name, what), func(ctx SpecContext) {
				h := newHandler()
				object := completed(ctx, aJob())
				h.before = failing(what, troubles[name])
				for range 3 {
					result, err := h.pass(ctx, object)
					Expect(err).To(MatchError(troubles[name]))
					Expect(result.RequeueAfter).To(BeZero())
					Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
				}

				h.before = nil
				h.settle(ctx, object)
				expectGone(ctx, object)
				expectStored(ctx, object)
				Expect(eventsOf(ctx, object, "")).To(HaveLen(1))
			})
		}
	}

	DescribeTable("is retried where reading meets it", func(ctx SpecContext, wanted runtime.Object) {
		h := newHandler()
		object := running(ctx, aJob())
		addPod(ctx, object, ended(0), unlabelled)
		complete(ctx, object, 1)
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, read runtime.Object) error {
			if reflect.TypeOf(read) == reflect.TypeOf(wanted) {
				return context.DeadlineExceeded
			}
			return nil
		}
		for range 3 {
			_, err := h.pass(ctx, object)
			Expect(err).To(MatchError(context.DeadlineExceeded))
			Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		}

		h.beforeRead = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
		expectStored(ctx, object)
		Expect(eventsOf(ctx, object, "")).To(HaveLen(1))
	},
		Entry("the Namespace", &metav1.PartialObjectMetadata{}),
		Entry("pods", &corev1.PodList{}),
		Entry("the results", &corev1.ConfigMap{}),
	)

	It("is a change that came too late to be valid: the Job is looked at again", func(ctx SpecContext) {
		h := newHandler()
		object := completed(ctx, aJob())
		invalid := apierrors.NewInvalid(batchv1.SchemeGroupVersion.WithKind("Job").GroupKind(), "job", nil)
		h.before = func(ctx context.Context, w write) error {
			if w.what == patchJob {
				annotate(ctx, object, "somebody", "was here")
				return invalid
			}
			return nil
		}
		_, err := h.pass(ctx, object)
		Expect(err).To(HaveOccurred())
		Expect(warningsOf(ctx, object)).To(BeEmpty())

		h.before = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
	})

	It("is a conflict: the Job is looked at again, soon and quietly", func(ctx SpecContext) {
		h := newHandler()
		object := completed(ctx, aJob())
		h.before = failing(patchJob, apierrors.NewConflict(batchv1.Resource("jobs"), "job", errors.New("changed")))

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically("<=", time.Second))

		Expect(warningsOf(ctx, object)).To(BeEmpty())
		h.before = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
	})
})
