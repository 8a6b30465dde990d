package release_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/release"
)

// aLease creates the lease of a manager, and a Releaser's option to look at it.
func aLease(ctx context.Context, name, holder string) (*coordinationv1.Lease, func(*release.Releaser)) {
	GinkgoHelper()
	lease := create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: new(int32(2)), RenewTime: &metav1.MicroTime{Time: time.Unix(0, 0)},
		},
	})
	return lease, func(r *release.Releaser) { r.Lease = client.ObjectKeyFromObject(lease) }
}

// renew writes to the lease until ctx ends.
func renew(ctx context.Context, lease *coordinationv1.Lease, change func(*coordinationv1.LeaseSpec)) {
	defer GinkgoRecover()
	for i := int64(1); ctx.Err() == nil; i++ {
		lease.Spec.RenewTime = &metav1.MicroTime{Time: time.Unix(i, 0)}
		change(&lease.Spec)
		if err := kube.Update(ctx, lease); ctx.Err() == nil {
			Expect(err).NotTo(HaveOccurred())
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keepRenewing renews the lease until the spec ends.
func keepRenewing(ctx context.Context, lease *coordinationv1.Lease, change func(*coordinationv1.LeaseSpec)) {
	renewing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		renew(renewing, lease, change)
	}()
	DeferCleanup(func() { stop(); <-ended })
}

// leaveNothing releases what is held, and removes the Jobs of a Namespace, which
// other specs would count.
func leaveNothing(ctx SpecContext, namespace string) {
	_, err := run(ctx)
	Expect(err).NotTo(HaveOccurred())
	var jobs batchv1.JobList
	Expect(kube.List(ctx, &jobs, client.InNamespace(namespace))).To(Succeed())
	for i := range jobs.Items {
		free := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
		Expect(client.IgnoreNotFound(kube.Patch(ctx, &jobs.Items[i], free))).To(Succeed())
	}
	Expect(kube.DeleteAllOf(ctx, &batchv1.Job{}, client.InNamespace(namespace),
		client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
}

var _ = Describe("A lease of the manager", func() {
	It("that is renewed stops it, but no dry run", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Annotation(api.EnabledSinceAnnotation, "2026-11-01T00:00:00Z").Obj())
		lease, of := aLease(ctx, "renewed", "job-handler-0")
		keepRenewing(ctx, lease, func(*coordinationv1.LeaseSpec) {})

		out, err := run(ctx, of)
		Expect(err).To(MatchError(release.ErrRunning))
		Expect(err).To(MatchError(ContainSubstring("default/renewed is renewed by job-handler-0")))
		Expect(out).To(HavePrefix("Waiting up to 2.5s to see whether job-handler-0 is still running"))
		Expect(read(ctx, namespace).Annotations).To(HaveKey(api.EnabledSinceAnnotation))
		Expect(run(ctx, of, dryRun)).To(ContainSubstring("Released 1 Namespace"))
	})

	It("that is renewed does not stop it from letting go what is being deleted, and only that", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Annotation(api.EnabledSinceAnnotation, "2026-11-01T00:00:00Z").Obj())
		kept, raisedOnly := create(ctx, held(namespace.Name, "kept")), create(ctx, raised(namespace.Name, "raised").Obj())
		deleted, raisedAndDeleted := create(ctx, held(namespace.Name, "deleted")), create(ctx, raised(namespace.Name, "gone").Finalizer("example.com/other").Obj())
		for _, job := range []*batchv1.Job{deleted, raisedAndDeleted} {
			Expect(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		}
		DeferCleanup(leaveNothing, namespace.Name)
		lease, of := aLease(ctx, "busy", "job-handler-0")
		keepRenewing(ctx, lease, func(*coordinationv1.LeaseSpec) {})

		out, err := run(ctx, of, func(r *release.Releaser) { r.Deleting = true })
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(HavePrefix("Job %s/deleted: finalizer job-handler/results removed\n", namespace.Name))
		Expect(out).To(ContainSubstring("Released 0 Namespaces and 1 Job:"))
		Expect(read(ctx, deleted).Finalizers).To(Equal([]string{"example.com/other"}))
		Expect(read(ctx, kept).Finalizers).To(ContainElement(api.ResultsFinalizer))
		Expect(read(ctx, raisedOnly).Annotations).To(HaveKey(api.TTLAnnotation))
		Expect(read(ctx, raisedAndDeleted).Annotations).To(HaveKey(api.TTLAnnotation))
		Expect(read(ctx, namespace).Annotations).To(HaveKey(api.EnabledSinceAnnotation))
	})

	It("that is given up meanwhile does not stop it", func(ctx SpecContext) {
		lease, of := aLease(ctx, "given-up", "job-handler-0")
		lease.Spec.LeaseDurationSeconds = new(int32(60))
		Expect(kube.Update(ctx, lease)).To(Succeed())
		keepRenewing(ctx, lease, func(spec *coordinationv1.LeaseSpec) { spec.HolderIdentity = new("") })
		_, err := run(ctx, of)
		Expect(err).NotTo(HaveOccurred())
	})

	It("that is renewed for a while is waited for", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Annotation(api.EnabledSinceAnnotation, "2026-11-01T00:00:00Z").Obj())
		lease, of := aLease(ctx, "ending", "job-handler-0")
		keepRenewing(ctx, lease, func(spec *coordinationv1.LeaseSpec) {
			// Longer than one look at it takes: 2.5 s.
			if spec.RenewTime.Unix() > 20 {
				spec.HolderIdentity = new("")
			}
		})

		out, err := run(ctx, of, func(r *release.Releaser) { r.Wait = time.Minute })
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(out, "Waiting up to 1m0s to see whether job-handler-0 is still running")).To(Equal(1), out)
		Expect(read(ctx, namespace).Annotations).NotTo(HaveKey(api.EnabledSinceAnnotation))
	})

	It("that is renewed for longer than is waited stops it", func(ctx SpecContext) {
		lease, of := aLease(ctx, "patience", "job-handler-0")
		keepRenewing(ctx, lease, func(*coordinationv1.LeaseSpec) {})
		_, err := run(ctx, of, func(r *release.Releaser) { r.Wait = 2 * time.Second })
		Expect(err).To(MatchError(release.ErrRunning))
		Expect(read(ctx, lease).Spec.RenewTime.Unix()).To(BeNumerically(">", 5), "it was looked at for so long")
	})

	It("that nobody renews or has does not stop it", func(ctx SpecContext) {
		_, old := aLease(ctx, "old", "job-handler-0")
		_, err := run(ctx, old)
		Expect(err).NotTo(HaveOccurred())
		_, free := aLease(ctx, "free", "")
		Expect(run(ctx, free)).NotTo(ContainSubstring("Waiting"))
	})
})
