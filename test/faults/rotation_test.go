package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	renewals = 3
	// leastLoad is what a load has at least when a spec ends: two seconds of it.
	leastLoad = 100
	// clientPause is between two looks of one that looks all the time.
	clientPause = effectPoll
)

var _ = Describe("While Jobs are created all the time", func() {
	It("a new leaf is noticed by nobody", func(ctx SpecContext) {
		jobs := startLoad(newNamespace(ctx, true))
		troubles := watch(connect, manager.Ready)
		for range renewals {
			expectServed(ctx, renew(ctx, webhookCertificate))
			expectMore(jobs)
		}
		expectUnnoticed(ctx, jobs, troubles)
	}, SpecTimeout(specTimeout))

	// The kubelet takes up to a minute or so to mount a leaf. Until then the one
	// before it is served, and has to be trusted with the new authority.
	DescribeTable("a new authority is noticed by nobody, even where the leaf comes late",
		func(ctx SpecContext, change func(context.Context) *corev1.Secret) {
			jobs := startLoad(newNamespace(ctx, true))
			troubles := watch(connect, manager.Ready)
			changed := change(ctx)
			mount := certificate.hold()
			leaf := renew(ctx, webhookCertificate)
			expectBundle(ctx, changed)
			expectMore(jobs)
			mount()
			expectServed(ctx, leaf)
			expectMore(jobs)
			expectUnnoticed(ctx, jobs, troubles)
		},
		Entry("renewed with its key, as config/certmanager has it", renewAuthority, SpecTimeout(specTimeout)),
		Entry("with a new key", replaceAuthority, SpecTimeout(specTimeout)),
	)

	It("a new authority that is not injected stops nobody, and what admission missed is stamped afterwards", func(ctx SpecContext) {
		namespace := newNamespace(ctx, true)
		jobs := startLoad(namespace)
		inject := stopInjection(ctx)
		replaceAuthority(ctx)
		renew(ctx, webhookCertificate)
		Eventually(ctx, manager.Ready, effectTimeout, effectPoll).Should(MatchError(ContainSubstring("[-]webhook")))
		// The API server goes on with a connection from before for as long as it can.
		front.become(none)
		Eventually(func() []*batchv1.Job { return missed(jobs.soFar()) }, effectTimeout, effectPoll).ShouldNot(BeEmpty(),
			"a leaf of another authority was trusted")
		expectMore(jobs)

		inject()
		Eventually(ctx, connect, effectTimeout, effectPoll).Should(Succeed())
		Eventually(ctx, manager.Ready, effectTimeout, effectPoll).Should(Succeed())
		Eventually(jobs.last, effectTimeout, effectPoll).Should(Satisfy(seen), "admission stamps no more")
		creations := jobs.finish()
		Expect(failed(creations)).To(BeEmpty())
		AddReportEntry("missed", fmt.Sprintf("%d of %d Jobs", len(missed(creations)), len(creations)))
		expectAllStamped(ctx, namespace, len(creations))
	}, SpecTimeout(specTimeout))
})

// expectUnnoticed ends the load: every Job was created, and admission stamped
// it; every new connection was trusted, and the manager ready.
func expectUnnoticed(ctx context.Context, jobs *load, troubles func() []error) {
	GinkgoHelper()
	creations := jobs.finish()
	Expect(failed(creations)).To(BeEmpty())
	Expect(missed(creations)).To(BeEmpty())
	Expect(troubles()).To(BeEmpty())
	// The API server may have gone on with a connection from before.
	mend(ctx)
}

// expectMore waits until the load has gone on for a while.
func expectMore(jobs *load) {
	GinkgoHelper()
	before := len(jobs.soFar())
	Eventually(func() int { return len(jobs.soFar()) - before }, effectTimeout, effectPoll).Should(BeNumerically(">=", leastLoad))
}

// replaceAuthority has cert-manager make an authority with a new key, and
// returns its Secret.
func replaceAuthority(ctx context.Context) *corev1.Secret {
	GinkgoHelper()
	object := &certmanagerv1.Certificate{}
	Expect(admin.Get(ctx, authority, object)).To(Succeed())
	before := &corev1.Secret{}
	Expect(admin.Get(ctx, authority, before)).To(Succeed())
	Expect(admin.Delete(ctx, before)).To(Succeed())
	after := issued(ctx, authority, object.Status.Revision)
	Expect(after.Data[corev1.TLSPrivateKeyKey]).NotTo(Equal(before.Data[corev1.TLSPrivateKeyKey]))
	return after
}

func renewAuthority(ctx context.Context) *corev1.Secret {
	GinkgoHelper()
	before := &corev1.Secret{}
	Expect(admin.Get(ctx, authority, before)).To(Succeed())
	after := renew(ctx, authority)
	Expect(after.Data[corev1.TLSCertKey]).NotTo(Equal(before.Data[corev1.TLSCertKey]))
	Expect(after.Data[corev1.TLSPrivateKeyKey]).To(Equal(before.Data[corev1.TLSPrivateKeyKey]))
	return after
}

// expectBundle waits until every webhook configuration trusts the authority.
func expectBundle(ctx context.Context, authority *corev1.Secret) {
	GinkgoHelper()
	wanted := strings.TrimSpace(string(authority.Data[corev1.TLSCertKey]))
	Eventually(ctx, bundles, effectTimeout, effectPoll).Should(HaveEach(ContainSubstring(wanted)))
}

// stopInjection has the CA injector leave the webhook configurations alone
// until the returned function is called.
func stopInjection(ctx context.Context) (inject func()) {
	GinkgoHelper()
	annotate := func(ctx context.Context, value any) {
		GinkgoHelper()
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"annotations": map[string]any{certmanagerv1.WantInjectAnnotation: value},
		}})
		Expect(err).NotTo(HaveOccurred())
		meta := metav1.ObjectMeta{Name: api.ManagerName}
		for _, object := range []client.Object{
			&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta},
		} {
			Expect(admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
		}
	}
	annotate(ctx, nil)
	inject = func() { annotate(ctx, webhookCertificate.String()) }
	DeferCleanup(func(ctx SpecContext) { annotate(ctx, webhookCertificate.String()) })
	return inject
}

// expectAllStamped waits until that many Jobs are in the Namespace and every
// one is stamped.
func expectAllStamped(ctx context.Context, namespace string, count int) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		list := &batchv1.JobList{}
		g.Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		g.Expect(list.Items).To(HaveLen(count))
		unstamped := slices.DeleteFunc(list.Items, func(job batchv1.Job) bool { return stamped(&job) == nil })
		g.Expect(unstamped).To(BeEmpty())
	}, effectTimeout, effectPoll).Should(Succeed())
}

// watch calls the checks over and over until the function that it returns is
// called, which returns what failed.
func watch(checks ...func(context.Context) error) (stop func() []error) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	var errs []error
	watching.Go(func() {
		_ = wait.PollUntilContextCancel(ctx, clientPause, true, func(ctx context.Context) (bool, error) {
			for _, check := range checks {
				// The end of the watch ends a check too.
				if err := check(ctx); err != nil && ctx.Err() == nil {
					errs = append(errs, err)
				}
			}
			return false, nil
		})
	})
	DeferCleanup(cancel)
	return func() []error {
		cancel()
		watching.Wait()
		return errs
	}
}
