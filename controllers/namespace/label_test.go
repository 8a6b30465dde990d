package namespace_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

func annotated(value string) func(*corev1.Namespace) {
	return func(n *corev1.Namespace) { metav1.SetMetaDataAnnotation(&n.ObjectMeta, api.EnabledAnnotation, value) }
}

func notAnnotated(n *corev1.Namespace) { delete(n.Annotations, api.EnabledAnnotation) }

func labelled(value string) func(*corev1.Namespace) {
	return func(n *corev1.Namespace) { metav1.SetMetaDataLabel(&n.ObjectMeta, api.EnabledLabel, value) }
}

func notLabelled(n *corev1.Namespace) { delete(n.Labels, api.EnabledLabel) }

var _ = Describe("The opt-in of a Namespace", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// expectOptIn expects what the manager leaves on the Namespace, for good.
	expectOptIn := func(ctx context.Context, object *corev1.Namespace, label string, mirrored, since bool) {
		GinkgoHelper()
		h.settle(ctx, object)
		now := read(ctx, object)
		Expect(now.Labels[api.EnabledLabel]).To(Equal(label))
		if mirrored {
			Expect(now.Annotations).To(HaveKeyWithValue(api.EnabledMirroredAnnotation, api.True))
		} else {
			Expect(now.Annotations).NotTo(HaveKey(api.EnabledMirroredAnnotation))
		}
		if since {
			Expect(now.Annotations).To(HaveKey(api.EnabledSinceAnnotation))
		} else {
			Expect(now.Annotations).NotTo(HaveKey(api.EnabledSinceAnnotation))
		}
	}

	DescribeTable("is in the label, by which admission selects, and nobody else's label is taken away",
		func(ctx SpecContext, start func(*jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder,
			then []func(*corev1.Namespace), label string, mirrored, since bool,
		) {
			object := create(ctx, start(suite.Namespace().Label("team", "data").Annotation("owner", "me")))
			h.settle(ctx, object)
			for _, step := range then {
				change(ctx, object, step)
				h.settle(ctx, object)
			}

			expectOptIn(ctx, object, label, mirrored, since)
			now := read(ctx, object)
			Expect(now.Labels).To(HaveKeyWithValue("team", "data"))
			Expect(now.Annotations).To(HaveKeyWithValue("owner", "me"))
		},
		Entry("annotation", byAnnotation(api.True), nil, api.True, true, true),
		Entry("label", byLabel(api.True), nil, api.True, false, true),
		Entry("nothing", nothing, nil, "", false, false),
		Entry("annotation false", byAnnotation(api.False), nil, "", false, false),
		Entry("annotation invalid", byAnnotation("yes"), nil, "", false, false),
		Entry("label false beats the annotation", func(b *jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder {
			return b.Label(api.EnabledLabel, api.False).Annotation(api.EnabledAnnotation, api.True)
		}, nil, api.False, false, false),
		Entry("label true beats the annotation", func(b *jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder {
			return b.Label(api.EnabledLabel, api.True).Annotation(api.EnabledAnnotation, api.False)
		}, nil, api.True, false, true),
		Entry("annotation removed", byAnnotation(api.True), steps(notAnnotated), "", false, false),
		Entry("annotation turned false", byAnnotation(api.True), steps(annotated(api.False)), "", false, false),
		Entry("annotation there and gone and there", byAnnotation(api.True), steps(notAnnotated, annotated(api.True)), api.True, true, true),
		Entry("own label, annotation removed", byLabel(api.True), steps(annotated(api.True), notAnnotated), api.True, false, true),
		Entry("own label removed", byLabel(api.True), steps(notLabelled), "", false, false),
		Entry("mirrored label removed by hand", byAnnotation(api.True), steps(notLabelled), api.True, true, true),
		Entry("mirrored label turned false by hand", byAnnotation(api.True), steps(labelled(api.False)), api.False, false, false),
		Entry("mirrored label turned false, annotation removed", byAnnotation(api.True), steps(labelled(api.False), notAnnotated), api.False, false, false),
		Entry("own label beside the annotation", byLabel(api.True), steps(annotated(api.True)), api.True, false, true),
	)

	It("is dated when it was first seen, once", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		h.settle(ctx, object)
		first := read(ctx, object)
		Expect(first.Annotations).To(HaveKeyWithValue(api.EnabledSinceAnnotation, h.clock.Now().UTC().Format(time.RFC3339)))

		h.step(time.Hour)
		h.settle(ctx, object)
		again := newHandler()
		again.step(2 * time.Hour)
		again.settle(ctx, object)
		Expect(read(ctx, object).ResourceVersion).To(Equal(first.ResourceVersion))
	})

	It("is dated anew after it was away", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		h.settle(ctx, object)
		change(ctx, object, notLabelled)
		h.settle(ctx, object)
		h.step(time.Hour)
		change(ctx, object, labelled(api.True))
		h.settle(ctx, object)

		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(
			api.EnabledSinceAnnotation, h.clock.Now().UTC().Format(time.RFC3339)))
	})

	It("is dated where somebody wrote what is no date", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledSinceAnnotation, "always"))
		h.settle(ctx, object)
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(
			api.EnabledSinceAnnotation, h.clock.Now().UTC().Format(time.RFC3339)))
	})

	It("has the Namespace searched every scan interval", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		Expect(h.settle(ctx, object).RequeueAfter).To(Equal(scanInterval))

		h.Options.ScanInterval = 0
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
	})

	It("has the Namespace searched more often while admission misses Jobs", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		h.Admission = namespace.NewAdmission()
		h.Admission.Found(false)
		Expect(h.settle(ctx, object).RequeueAfter).To(Equal(30 * time.Second))

		h.Options.ScanInterval = 10 * time.Second
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(10 * time.Second))
		h.Options.ScanInterval = 0
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		h.Options.ScanInterval = scanInterval
		h.Admission.Found(true)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(scanInterval))
	})

	DescribeTable("is not looked at", func(ctx SpecContext, prepare func(context.Context, *corev1.Namespace)) {
		object := create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True))
		prepare(ctx, object)

		Expect(h.reconcile(ctx, object)).To(Equal(ctrl.Result{}))

		Expect(h.writes).To(BeZero())
		Expect(read(ctx, object).Labels).NotTo(HaveKey(api.EnabledLabel))
	},
		Entry("in an excluded Namespace", func(_ context.Context, n *corev1.Namespace) {
			h.Options.ExcludedNamespaces = []string{"kube-system", n.Name}
		}),
		Entry("in a Namespace that is terminating", func(ctx context.Context, n *corev1.Namespace) {
			Expect(kube.Delete(ctx, n)).To(Succeed())
		}),
	)

	It("of a Namespace that is gone is nothing", func(ctx SpecContext) {
		Expect(h.reconcile(ctx, jobtest.MakeNamespace("never-there").Obj())).To(Equal(ctrl.Result{}))
	})

	It("is not decided on an old state", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True))
		h.before = func(ctx context.Context, _ client.Object) error {
			h.before = nil
			change(ctx, object, labelled(api.False))
			return nil
		}

		h.reconcile(ctx, object)

		Expect(read(ctx, object).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.False))
		expectOptIn(ctx, object, api.False, false, false)
	})

	It("is tried again if it cannot be written", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True))
		lost := errors.New("connection lost")
		h.before = func(context.Context, client.Object) error { return lost }
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(lost))

		h.before = nil
		expectOptIn(ctx, object, api.True, true, true)
	})

	It("is not written without the right to", func(ctx SpecContext) {
		config, err := kube.Manager(ctx, "no-patch", apiserver.Right{Resource: "namespaces", Verb: "patch"})
		Expect(err).NotTo(HaveOccurred())
		c, err := client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme})
		Expect(err).NotTo(HaveOccurred())
		object := create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True))

		_, err = handlerOf(c).pass(ctx, object)

		Expect(err).To(Satisfy(apierrors.IsForbidden))
		Expect(read(ctx, object).Labels).NotTo(HaveKey(api.EnabledLabel))
	})

	It("is written nowhere for the excluded, whatever their names have in common", func(ctx SpecContext) {
		h = newHandler(func(o *namespace.Options) { o.ExcludedNamespaces = []string{"spec"} })
		expectOptIn(ctx, create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True)), api.True, true, true)
	})
})

func byAnnotation(value string) func(*jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder {
	return func(b *jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder {
		return b.Annotation(api.EnabledAnnotation, value)
	}
}

func byLabel(value string) func(*jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder {
	return func(b *jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder { return b.Label(api.EnabledLabel, value) }
}

func nothing(b *jobtest.NamespaceBuilder) *jobtest.NamespaceBuilder { return b }

func steps(all ...func(*corev1.Namespace)) []func(*corev1.Namespace) { return all }
