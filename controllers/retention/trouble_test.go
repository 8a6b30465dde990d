package retention_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/retention"
	"github.com/job-handler/job-handler/internal/retain"
)

var errAway = errors.New("connection refused")

var _ = Describe("Trouble with one namespace", func() {
	// two stores three expired results each in two namespaces, and returns the
	// second.
	two := func(ctx SpecContext) string {
		GinkgoHelper()
		first := namespace
		second := newNamespace(ctx)
		for _, namespace = range []string{first, second} {
			for i := range 3 {
				aRun(fmt.Sprintf("job-%d", i)).expires(-time.Hour).stored(ctx)
			}
		}
		namespace = first
		return second
	}
	in := func(ctx context.Context, other string) []string {
		GinkgoHelper()
		defer func(own string) { namespace = own }(namespace)
		namespace = other
		return present(ctx)
	}
	failing := func(p *process, err error) *int {
		tries := 0
		p.beforeDelete = func(_ context.Context, object client.Object) error {
			if object.GetNamespace() == namespace {
				tries++
				return err
			}
			return nil
		}
		return &tries
	}

	It("is met once in a look where people have to mend it, and stops no other", func(ctx SpecContext) {
		second := two(ctx)
		p := newProcess()
		tries := failing(p, apierrors.NewForbidden(corev1.Resource("configmaps"), "job-0-results", errors.New("somebody's webhook says no")))

		p.looks(ctx)

		Expect(in(ctx, second)).To(BeEmpty())
		Expect(present(ctx)).To(HaveLen(3))
		Expect(*tries).To(Equal(1))
		Expect(p.counted("job_handler_retention_refused_total", "rights")).To(BeEquivalentTo(1))
		Expect(p.counted("job_handler_retention_passes_total", "complete")).To(BeEquivalentTo(1))
		p.beforeDelete = nil
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
	})

	It("has the look fail and be tried again where it might pass, and stops no other", func(ctx SpecContext) {
		second := two(ctx)
		p := newProcess()
		tries := failing(p, apierrors.NewInternalError(errors.New("webhook timed out")))

		Expect(p.Look(ctx)).To(MatchError(ContainSubstring("webhook timed out")))

		Expect(in(ctx, second)).To(BeEmpty())
		Expect(*tries).To(Equal(1))
		Expect(p.counted("job_handler_retention_passes_total", "failed")).To(BeEquivalentTo(1))
		p.beforeDelete = nil
		p.looks(ctx)
		Expect(present(ctx)).To(BeEmpty())
	})

	It("is not what an API server that went away is taken for", func(ctx SpecContext) {
		for range 7 {
			namespace = newNamespace(ctx)
			aRun("job").expires(-time.Hour).stored(ctx)
		}
		p := newProcess()
		tries := 0
		p.beforeDelete = func(context.Context, client.Object) error { tries++; return errAway }
		Expect(p.Look(ctx)).To(MatchError(errAway))
		Expect(tries).To(Equal(5))
	})
})

var _ = Describe("A list that fails", func() {
	It("has the look fail, and nothing be deleted or counted", func(ctx SpecContext) {
		aRun("job").large().expires(-time.Hour).stored(ctx)
		p := newProcess()
		p.beforeList = func(list client.ObjectList) error {
			if list.GetObjectKind().GroupVersionKind().Kind == "ConfigMapList" {
				return errAway
			}
			return nil
		}
		Expect(p.Look(ctx)).To(MatchError(errAway))
		Expect(present(ctx)).To(HaveLen(4))
		Expect(p.Store.Holdings.Over(namespace)).To(Equal(retain.WithinBudget))
	})
})

var _ = Describe("Results in Secrets", func() {
	It("are left alone, and not asked for, where the right is missing", func(ctx SpecContext) {
		aRun("job").inSecret().expires(-time.Hour).stored(ctx)
		p := newProcess()
		var lists []string
		p.beforeList = func(list client.ObjectList) error {
			lists = append(lists, list.GetObjectKind().GroupVersionKind().Kind)
			return nil
		}
		p.looks(ctx)
		Expect(presentSecrets(ctx)).To(ConsistOf("job-results"))
		Expect(p.deletions()).To(BeEmpty())
		Expect(lists).To(ContainElement("NamespaceList"))
	})

	It("go as others do where it is there, but for Secrets of another type", func(ctx SpecContext) {
		Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
		aRun("job").inSecret().expires(-time.Hour).stored(ctx)
		aRun("later").inSecret().expires(time.Hour).stored(ctx)
		aRun("theirs").inSecret().expires(-time.Hour).stored(ctx, func(o client.Object) { o.(*corev1.Secret).Type = corev1.SecretTypeOpaque })
		p := newProcess()
		p.looks(ctx)
		Expect(presentSecrets(ctx)).To(ConsistOf("later-results", "theirs-results"))
		Expect(p.attempts()).To(ConsistOf("job-results"))
		Expect(p.counted("job_handler_results_bytes", namespace)).To(BeNumerically(">", 0))
	})

	It("are given up where the right goes away meanwhile", func(ctx SpecContext) {
		Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
		aRun("job").inSecret().expires(-time.Hour).stored(ctx)
		aRun("map").expires(-time.Hour).stored(ctx)
		p := newProcess()
		p.beforeList = func(list client.ObjectList) error {
			if list.GetObjectKind().GroupVersionKind().Kind == "SecretList" {
				return apierrors.NewForbidden(corev1.Resource("secrets"), "", errors.New("no right"))
			}
			return nil
		}
		p.looks(ctx)
		Expect(presentSecrets(ctx)).To(HaveLen(1))
		Expect(present(ctx)).To(BeEmpty())
	})
})

var _ = Describe("Retention as it runs", func() {
	// starts runs it until the spec ends or stop is called.
	starts := func(ctx SpecContext, p *process) (stop func()) {
		running, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan error, 1)
		go func() { ended <- p.Start(running) }()
		stopped := false
		stop = func() {
			cancel()
			if !stopped {
				Eventually(ended).Should(Receive(BeNil()))
			}
			stopped = true
		}
		DeferCleanup(stop)
		return stop
	}
	waits := func(p *process) {
		GinkgoHelper()
		Eventually(p.clock.HasWaiters).Should(BeTrue())
	}

	It("looks at the start and every interval", func(ctx SpecContext) {
		aRun("a").expires(-time.Second).stored(ctx)
		p := newProcess()
		starts(ctx, p)
		waits(p)
		Expect(present(ctx)).To(BeEmpty())

		aRun("b").expires(-time.Second).stored(ctx)
		p.clock.Step(interval)
		Eventually(ctx, present).Should(BeEmpty())
	})

	It("deletes results when their time comes, those found and those stored since", func(ctx SpecContext) {
		aRun("found").expires(30 * time.Second).stored(ctx)
		p := newProcess()
		starts(ctx, p)
		waits(p)
		stored := aRun("stored").expires(10 * time.Second).stored(ctx)
		p.Store.Holdings.Stored("ConfigMap", stored)
		looks := p.counted("job_handler_retention_passes_total", "complete")
		// It takes note of the earlier time and waits for that.
		Eventually(func() []string { p.clock.Step(time.Second); return present(ctx) }).Should(ConsistOf("found-results"))
		Eventually(func() []string { p.clock.Step(time.Second); return present(ctx) }).Should(BeEmpty())
		Expect(p.deletions()).To(HaveExactElements("stored-results", "found-results"))
		Expect(p.counted("job_handler_retention_passes_total", "complete")).To(Equal(looks))
	})

	It("tries again a minute after the API server was away", func(ctx SpecContext) {
		aRun("a").expires(-time.Second).stored(ctx)
		p := newProcess()
		var back atomic.Bool
		p.beforeList = func(client.ObjectList) error {
			if !back.Load() {
				return errAway
			}
			return nil
		}
		starts(ctx, p)
		waits(p)
		back.Store(true)
		p.clock.Step(time.Minute)
		Eventually(ctx, present).Should(BeEmpty())
	})

	It("looks again a minute after something due could not be deleted", func(ctx SpecContext) {
		aRun("a").expires(10 * time.Second).stored(ctx)
		p := newProcess()
		tried := make(chan struct{}, 1)
		p.beforeDelete = func(context.Context, client.Object) error {
			select {
			case tried <- struct{}{}:
				return errAway
			default:
				return nil
			}
		}
		starts(ctx, p)
		waits(p)
		p.clock.Step(10 * time.Second)
		Eventually(func() int { return len(tried) }).Should(Equal(1))
		waits(p)
		Expect(present(ctx)).To(HaveLen(1))
		p.clock.Step(time.Minute)
		Eventually(ctx, present).Should(BeEmpty())
	})

	It("stops at once, between two deletions too", func(ctx SpecContext) {
		for i := range 3 {
			aRun(fmt.Sprintf("job-%d", i)).expires(-time.Hour).stored(ctx)
		}
		p := newProcess(func(o *retention.Options) { o.Pause = time.Second })
		stop := starts(ctx, p)
		Eventually(ctx, present).Should(HaveLen(2))
		waits(p)
		stop()
		Expect(present(ctx)).To(HaveLen(2))
		Expect(p.counted("job_handler_retention_passes_total", "failed")).To(BeZero())
	})

	It("is for one of several managers", func() {
		Expect(newProcess().NeedLeaderElection()).To(BeTrue())
	})
})
