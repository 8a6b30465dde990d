package namespace_test

import (
	"context"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

// startManager runs the controller as the installed manager does, with the
// manager's rights, in all Namespaces, until the spec ends or stop is called.
func startManager(ctx SpecContext, interval time.Duration) (stop func()) {
	GinkgoHelper()
	return startManagerWith(ctx, interval, nil)
}

// startManagerWith is startManager with what is known of admission.
func startManagerWith(ctx SpecContext, interval time.Duration, admission *namespace.Admission) (stop func()) {
	GinkgoHelper()
	mgr, err := ctrl.NewManager(rest.CopyConfig(managerConfig), ctrl.Options{
		Scheme:  scheme.Scheme,
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		// One manager after the other runs in this process.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	reconciler := &namespace.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: clock.RealClock{},
		Events: events.New(mgr.GetClient(), clock.RealClock{}, "manager-0"), Admission: admission,
		Options: namespace.Options{
			TTLFloor: ttlFloor, ScanInterval: interval, ExcludedNamespaces: []string{"kube-system"},
		},
	}
	Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	stop = sync.OnceFunc(func() {
		cancel()
		Eventually(ended).Should(Receive(BeNil()))
	})
	DeferCleanup(stop)
	return stop
}

var _ = Describe("The controller in a manager", func() {
	label := func(object *corev1.Namespace) func(Gomega, context.Context) string {
		return func(g Gomega, ctx context.Context) string {
			now := &corev1.Namespace{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			return now.Labels[api.EnabledLabel]
		}
	}
	stamp := func(object *batchv1.Job) func(Gomega, context.Context) string {
		return func(g Gomega, ctx context.Context) string {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			return now.Labels[api.EnabledLabel]
		}
	}

	It("follows a Namespace that opts in and out", func(ctx SpecContext) {
		startManager(ctx, scanInterval)
		object := create(ctx, suite.Namespace())
		job := jobtest.MakeJob(object.Name, "job").Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		Consistently(ctx, label(object)).Should(BeEmpty())

		change(ctx, object, annotated(api.True))
		Eventually(ctx, label(object)).Should(Equal(api.True))
		Eventually(ctx, stamp(job)).Should(Equal(api.True))

		change(ctx, object, notAnnotated)
		Eventually(ctx, label(object)).Should(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("looks into opted-in Namespaces at its start, and every scan interval", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		first := jobtest.MakeJob(object.Name, "first").Obj()
		Expect(kube.Create(ctx, first)).To(Succeed())

		startManager(ctx, 200*time.Millisecond)
		Eventually(ctx, stamp(first)).Should(Equal(api.True))

		second := jobtest.MakeJob(object.Name, "second").Obj()
		Expect(kube.Create(ctx, second)).To(Succeed())
		Eventually(ctx, stamp(second)).Should(Equal(api.True))
	}, SpecTimeout(specTimeout))

	It("looks at once when admission breaks and when it is mended", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True))
		before := jobtest.MakeJob(object.Name, "before").Obj()
		Expect(kube.Create(ctx, before)).To(Succeed())
		admission := namespace.NewAdmission()
		startManagerWith(ctx, time.Hour, admission)
		Eventually(ctx, stamp(before)).Should(Equal(api.True))
		admission.Found(true)

		first := jobtest.MakeJob(object.Name, "first").Obj()
		Expect(kube.Create(ctx, first)).To(Succeed())
		Consistently(ctx, stamp(first)).Should(BeEmpty())
		admission.Found(false)
		Eventually(ctx, stamp(first)).Should(Equal(api.True))

		second := jobtest.MakeJob(object.Name, "second").Obj()
		Expect(kube.Create(ctx, second)).To(Succeed())
		admission.Found(false)
		Consistently(ctx, stamp(second)).Should(BeEmpty())
		admission.Found(true)
		Eventually(ctx, stamp(second)).Should(Equal(api.True))
	}, SpecTimeout(specTimeout))

	It("writes nothing while there is nothing to do", func(ctx SpecContext) {
		object := create(ctx, suite.Namespace().Annotation(api.EnabledAnnotation, api.True))
		startManager(ctx, 50*time.Millisecond)
		Eventually(ctx, label(object)).Should(Equal(api.True))

		left := read(ctx, object).ResourceVersion
		Consistently(ctx, func(g Gomega, ctx context.Context) {
			now := &corev1.Namespace{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			g.Expect(now.ResourceVersion).To(Equal(left))
		}).Should(Succeed())
	}, SpecTimeout(specTimeout))
})
