package job_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// startManager runs the controller as the installed manager does, with the
// manager's rights and its cache, in the given namespaces until the spec ends
// or stop is called.
func startManager(ctx SpecContext, logs job.LogCollector, namespaces ...string) (stop func()) {
	GinkgoHelper()
	return startChangedManager(ctx, logr.Logger{}, logs, func(*job.Reconciler) {}, namespaces...)
}

// startLoggingManager is startManager with an interval for another look at
// running Jobs; it logs to logger, or as the suite does.
func startLoggingManager(
	ctx SpecContext, logger logr.Logger, interval time.Duration, logs job.LogCollector, namespaces ...string,
) (stop func()) {
	GinkgoHelper()
	return startChangedManager(ctx, logger, logs, func(r *job.Reconciler) { r.Options.RecheckInterval = interval }, namespaces...)
}

// startChangedManager is startManager with a logger, and a Reconciler that is
// changed before it starts.
func startChangedManager(
	ctx SpecContext, logger logr.Logger, logs job.LogCollector, change func(*job.Reconciler), namespaces ...string,
) (stop func()) {
	GinkgoHelper()
	watched := map[string]cache.Config{}
	for _, name := range namespaces {
		watched[name] = cache.Config{}
	}
	mgr, err := ctrl.NewManager(rest.CopyConfig(managerConfig), ctrl.Options{
		Scheme: scheme.Scheme, Logger: logger,
		Cache: cache.Options{
			ByObject: job.CacheOptions(policy.Defaults{}), DefaultNamespaces: watched,
			DefaultTransform: cache.TransformStripManagedFields(),
		},
		Client: client.Options{
			FieldOwner: api.ManagerName,
			Cache:      &client.CacheOptions{DisableFor: []client.Object{&corev1.ConfigMap{}, &batchv1.CronJob{}}},
		},
		Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		// One manager after the other runs in this process.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	store := &resultstore.Store{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}
	known, recorder := &ledger.Ledger{}, events.New(mgr.GetClient(), clock.RealClock{}, "manager-0")
	reconciler := &job.Reconciler{
		Ledger: known, Store: store,
		PodLogs: &podlogs.Keeper{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Captures: capturesOf(logs), Events: recorder, Store: store,
			Clock: clock.RealClock{}, Ledger: known,
		},
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Logs: logs, Clock: clock.RealClock{},
		Events:   recorder,
		Warnings: events.NewWarnings(pager.Lister{Live: mgr.GetAPIReader()}, clock.RealClock{}, nil),
		Options: job.Options{
			TTLFloor: ttlFloor, RecheckInterval: recheckInterval, LogDeadline: logDeadline,
			ProtectDeadline: protectDeadline, Workers: 8,
		},
	}
	change(reconciler)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	Expect(reconciler.SetupWithManager(running, mgr)).To(Succeed())
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
	var fake *logs

	BeforeEach(func() { fake = &logs{} })

	gone := func(object *batchv1.Job) func(context.Context) bool {
		return func(ctx context.Context) bool {
			err := kube.Get(ctx, client.ObjectKeyFromObject(object), &batchv1.Job{})
			return apierrors.IsNotFound(err)
		}
	}
	status := func(object *batchv1.Job) func(Gomega, context.Context) string {
		return func(g Gomega, ctx context.Context) string {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			return now.Annotations[api.StatusAnnotation]
		}
	}
	ttl := func(object *batchv1.Job) func(Gomega, context.Context) *int32 {
		return func(g Gomega, ctx context.Context) *int32 {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			return now.Spec.TTLSecondsAfterFinished
		}
	}
	version := func(object *batchv1.Job) func(Gomega, context.Context) string {
		return func(g Gomega, ctx context.Context) string {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			return now.ResourceVersion
		}
	}

	It("stores a Job that it sees finish, tells so and deletes it", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)

		Eventually(ctx, gone(object)).Should(BeTrue())

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		Expect(eventsOf(ctx, object, "")).To(ConsistOf(HaveField("Type", corev1.EventTypeNormal)))
	}, SpecTimeout(specTimeout))

	DescribeTable("lets go at once what waits for long, where", func(ctx SpecContext, happens func(SpecContext)) {
		forbidConfigMaps(ctx)
		annotateNamespace(ctx, api.ProtectAnnotation, api.True)
		object := completed(ctx, aJob().Finalizer(api.ResultsFinalizer))
		startManager(ctx, fake, namespace)
		Eventually(ctx, func(g Gomega, ctx context.Context) {
			g.Expect(eventsOf(ctx, object, "")).To(ContainElement(HaveField("Note", ContainSubstring("exceeded quota"))))
		}).Should(Succeed())
		deleted(ctx, object)
		Consistently(ctx, gone(object)).WithTimeout(time.Second).Should(BeFalse())

		happens(ctx)
		Eventually(ctx, gone(object)).WithTimeout(10 * time.Second).Should(BeTrue())
	},
		Entry("the Namespace terminates", SpecTimeout(specTimeout), func(ctx SpecContext) { terminating(ctx) }),
		Entry("the Namespace says that nothing is protected", SpecTimeout(specTimeout), func(ctx SpecContext) {
			annotateNamespace(ctx, api.ProtectAnnotation, api.False)
		}))

	It("stores a Job that finished while it was down, also one that a crash left half done", func(ctx SpecContext) {
		object, half := completed(ctx, aJob()), completed(ctx, aJobCalled("half"))
		crashing := newHandler()
		crashing.before = failing(patchJob, errCrash)
		_, err := crashing.pass(ctx, half)
		Expect(err).To(MatchError(errCrash))

		startManager(ctx, fake, namespace)

		Eventually(ctx, gone(object)).Should(BeTrue())
		Eventually(ctx, gone(half)).Should(BeTrue())
		for _, j := range []*batchv1.Job{object, half} {
			expectStored(ctx, j)
			Expect(eventsOf(ctx, j, "")).To(HaveLen(1))
		}
	}, SpecTimeout(specTimeout))

	It("keeps a failed Job and then leaves it alone, also after a restart", func(ctx SpecContext) {
		stop := startManager(ctx, fake, namespace)
		object := failed(ctx, aJob())
		Eventually(ctx, status(object)).Should(Equal(api.StatusFailed))
		expectStored(ctx, object)
		left := read(ctx, object)

		Consistently(ctx, version(object)).Should(Equal(left.ResourceVersion))
		stop()
		startManager(ctx, fake, namespace)
		Consistently(ctx, version(object)).Should(Equal(left.ResourceVersion))
		Expect(resultsIn(ctx)).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("does not write to Jobs that run or are suspended, nor to those of others", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		others := []*batchv1.Job{
			running(ctx, aJobCalled("running")),
			create(ctx, stamped(aJobCalled("suspended").Suspended())),
			create(ctx, aJobCalled("not-opted-in").Obj()),
			create(ctx, aJobCalled("opted-out").Label(api.EnabledLabel, api.False).Obj()),
		}
		finished := completed(ctx, aJob())
		Eventually(ctx, gone(finished)).Should(BeTrue())

		Consistently(ctx, func(g Gomega, ctx context.Context) {
			for _, other := range others {
				g.Expect(version(other)(g, ctx)).To(Equal(other.ResourceVersion), other.Name)
			}
		}).Should(Succeed())
	}, SpecTimeout(specTimeout))

	It("looks at a running Job again, though nothing of it changes", func(ctx SpecContext) {
		var looks atomic.Int64
		logger := funcr.New(func(_, line string) {
			if strings.Contains(line, `"msg"="decided"`) {
				looks.Add(1)
			}
		}, funcr.Options{Verbosity: 1})
		object := running(ctx, aJob())
		startLoggingManager(ctx, logger, 200*time.Millisecond, fake, namespace)

		Eventually(looks.Load).Should(BeNumerically(">=", 4))
		Expect(read(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
	})

	It("releases a Job that opts out", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := create(ctx, aJob().TTL(10).Label("app", "batch").Label(api.EnabledLabel, api.True).Obj())
		Eventually(ctx, ttl(object)).Should(HaveValue(BeEquivalentTo(3600)))

		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })

		Eventually(ctx, ttl(object)).Should(HaveValue(BeEquivalentTo(10)))
		Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.TTLAnnotation))
	}, SpecTimeout(specTimeout))

	It("takes note of what changes on a Job later", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		annotate(ctx, object, api.StatusAnnotation, api.StatusCompleted)
		Eventually(ctx, status(object)).Should(BeEmpty())

		object = read(ctx, object)
		fail(ctx, object, 0)
		Eventually(ctx, status(object)).Should(Equal(api.StatusFailed))

		annotate(ctx, object, api.DeleteAfterFailureAnnotation, "1h")
		Eventually(ctx, ttl(object)).Should(HaveValue(BeEquivalentTo(3600)))
		annotate(ctx, object, api.DeleteAfterFailureAnnotation, "0s")
		Eventually(ctx, gone(object)).Should(BeTrue())
		expectStored(ctx, object)
	}, SpecTimeout(specTimeout))

	It("handles run after run under one name", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		const runs = 5
		for range runs {
			object := completed(ctx, aJob().Annotation(api.DeleteAfterSuccessAnnotation, "0s"))
			Eventually(ctx, gone(object)).Should(BeTrue())
			expectStored(ctx, object)
			Expect(eventsOf(ctx, object, "")).To(HaveLen(1))
		}
		Expect(resultsIn(ctx)).To(HaveLen(runs))
	}, SpecTimeout(specTimeout))

	It("keeps a Job that comes back after each deletion, though nothing on it tells", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		for range 2 {
			object := completed(ctx, aJob())
			Eventually(ctx, gone(object)).Should(BeTrue())
		}
		object := completed(ctx, aJob())
		Eventually(ctx, func() []string { return warningsOf(ctx, object) }).Should(ContainElement(
			ContainSubstring("Another client recreates this Job after each deletion")))
		expectStored(ctx, object)
		Consistently(ctx, gone(object)).Should(BeFalse())
	}, SpecTimeout(time.Minute))

	It("is not confused by a Job that is replaced as soon as it has finished", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		for range 10 {
			object := completed(ctx, aJob())
			err := kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
			Expect(client.IgnoreNotFound(err)).To(Succeed())
		}
		last := running(ctx, aJob())

		Consistently(ctx, func(g Gomega, ctx context.Context) {
			g.Expect(version(last)(g, ctx)).To(Equal(last.ResourceVersion))
		}).Should(Succeed())
		Expect(eventsOf(ctx, last, "")).To(BeEmpty())
		byRun := map[string]int{}
		for _, cm := range resultsIn(ctx) {
			byRun[cm.Labels[api.JobUIDLabel]]++
		}
		Expect(byRun).NotTo(HaveKey(string(last.UID)))
		for _, count := range byRun {
			Expect(count).To(Equal(1))
		}
	}, SpecTimeout(specTimeout))

	It("handles many Jobs at a time, each exactly once", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		var jobs []*batchv1.Job
		for i := range 40 {
			finish := completed
			if i%4 == 0 {
				finish = failed
			}
			jobs = append(jobs, finish(ctx, aJobCalled(fmt.Sprintf("job-%d", i))))
		}
		for i, object := range jobs {
			if i%4 == 0 {
				Eventually(ctx, status(object)).Should(Equal(api.StatusFailed))
			} else {
				Eventually(ctx, gone(object)).Should(BeTrue())
			}
			expectStored(ctx, object)
			Expect(eventsOf(ctx, object, "")).To(HaveLen(1))
		}
		Expect(resultsIn(ctx)).To(HaveLen(len(jobs)))
		Expect(fake.inUse()).To(BeZero())
	}, SpecTimeout(specTimeout))

	It("comes back by itself to a Job whose logs could not be read", func(ctx SpecContext) {
		var tries atomic.Int32
		fake.read = func(_ *corev1.Pod, container string) results.ContainerLog {
			if tries.Add(1) == 1 {
				return unreachable(container)
			}
			return whole(container, "back again\n")
		}
		startManager(ctx, fake, namespace)
		object := completed(ctx, aJob())

		Eventually(ctx, gone(object)).Should(BeTrue())
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("back again"))
	}, SpecTimeout(specTimeout))

	It("comes back by itself to the Job of a CronJob that takes note late", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		cronJob := &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nightly"},
			Spec: batchv1.CronJobSpec{
				Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: aJob().Obj().Spec},
			},
		}
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
		object := completed(ctx, aJob().OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID))
		Eventually(ctx, status(object)).Should(Equal(api.StatusCompleted))

		cronJob.Status.LastSuccessfulTime = object.Status.CompletionTime
		Expect(kube.Status().Update(ctx, cronJob)).To(Succeed())
		Eventually(ctx, gone(object)).Should(BeTrue())
	}, SpecTimeout(specTimeout))

	It("goes on in one namespace while another refuses its results", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		refused := completed(ctx, aJobCalled("refused"))
		first := namespace
		namespace = optedIn(ctx)
		startManager(ctx, fake, first, namespace)
		Eventually(func(g Gomega) { g.Expect(eventsOf(ctx, refused, "")).To(HaveLen(1)) }).Should(Succeed())

		object := completed(ctx, aJob())
		Eventually(ctx, gone(object)).Should(BeTrue())
		Expect(read(ctx, refused).DeletionTimestamp).To(BeNil())
	}, SpecTimeout(specTimeout))

	It("stops at once while logs are being read, and leaves no half of a thing", func(ctx SpecContext) {
		reading := make(chan struct{})
		fake.during = func(ctx context.Context) error {
			close(reading)
			<-ctx.Done()
			return ctx.Err()
		}
		stop := startManager(ctx, fake, namespace)
		object := completed(ctx, aJob())
		Eventually(ctx, reading).Should(BeClosed())

		stop()

		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(read(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
		Expect(fake.inUse()).To(BeZero())
	}, SpecTimeout(specTimeout))
})
