package namespace_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/policy"
)

var _ = Describe("An invalid default on a Namespace", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	warnings := func(ctx context.Context, about *corev1.Namespace) []string {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(kube.List(ctx, &list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
		var notes []string
		for _, event := range list.Items {
			if event.Regarding.UID != about.UID {
				continue
			}
			Expect(event.Type).To(Equal(corev1.EventTypeWarning))
			Expect(event.Reason).To(Equal(api.ReasonJobProcessing))
			Expect(event.Regarding.Kind).To(Equal("Namespace"))
			notes = append(notes, event.Note)
		}
		return notes
	}

	It("is told of in one Warning for all of them, once an hour", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).
			Annotation(api.LogModeAnnotation, "everything").
			Annotation(api.DeleteAfterSuccessAnnotation, "soon").
			Annotation(api.ResultsNameAnnotation, "all-results"))

		h.settle(ctx, object)
		h.step(50 * time.Minute)
		h.settle(ctx, object)

		Expect(warnings(ctx, object)).To(ConsistOf(And(
			ContainSubstring(api.LogModeAnnotation), ContainSubstring(`"everything"`),
			ContainSubstring(api.DeleteAfterSuccessAnnotation), ContainSubstring(`"soon"`),
			ContainSubstring(api.ResultsNameAnnotation))))
		h.step(20 * time.Minute)
		h.settle(ctx, object)
		Expect(warnings(ctx, object)).To(HaveLen(2))
	})

	DescribeTable("is what the Namespace is warned of", func(ctx SpecContext, key, value string, warned bool) {
		h.Options.Defaults = policy.Defaults{PropagatableLabels: []string{"team"}}
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(key, value))
		h.settle(ctx, object)
		if warned {
			Expect(warnings(ctx, object)).To(ConsistOf(ContainSubstring(key)))
		} else {
			Expect(warnings(ctx, object)).To(BeEmpty())
		}
	},
		Entry("valid delay", api.DeleteAfterFailureAnnotation, "1d", false),
		Entry("never", api.ResultsTTLAnnotation, api.Never, false),
		Entry("label that may be propagated", api.PropagateLabelsAnnotation, "team", false),
		Entry("label that may not", api.PropagateLabelsAnnotation, "stage", true),
		Entry("kind that is not there", api.ResultsKindAnnotation, "Pod", true),
		Entry("opt-in that is no boolean, beside the label", api.EnabledAnnotation, "yes", true),
	)

	DescribeTable("is no concern of ours where the Namespace is not opted in",
		func(ctx SpecContext, builder func(*jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder) {
			object := create(ctx, builder(suite.Namespace().Annotation(api.LogModeAnnotation, "everything")))
			h.settle(ctx, object)
			Expect(warnings(ctx, object)).To(BeEmpty())
		},
		Entry("nothing said", nothing),
		Entry("opted out", byLabel(api.False)),
	)

	DescribeTable("is told of if it is the opt-in itself, which would else be missed in silence",
		func(ctx SpecContext, builder func(*jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder) {
			object := create(ctx, builder(suite.Namespace()))
			h.settle(ctx, object)
			Expect(warnings(ctx, object)).To(ConsistOf(And(
				ContainSubstring(api.EnabledAnnotation), ContainSubstring(`"yes"`))))
		},
		Entry("by annotation", byAnnotation("yes")),
		Entry("by label", byLabel("yes")),
	)

	It("does not keep Jobs from being found, also if nobody can be told", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.LogModeAnnotation, "everything"))
		h.settle(ctx, object)
		job := jobtest.MakeJob(object.Name, "job").Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		h = newHandler()
		lost := errors.New("connection lost")
		h.before = func(_ context.Context, written client.Object) error {
			if _, isEvent := written.(*eventsv1.Event); isEvent {
				return lost
			}
			return nil
		}

		_, err := h.pass(ctx, object)

		Expect(err).To(MatchError(lost))
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(job), job)).To(Succeed())
		Expect(job.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	})
})
