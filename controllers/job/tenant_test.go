package job_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobtest"
)

var _ = Describe("A namespace with a thousand finished Jobs", func() {
	const (
		many    = 1000
		workers = 8
	)

	It("does not hold up the one Job of another", func(ctx SpecContext) {
		busy := namespace
		namespace = optedIn(ctx)
		fake := &logs{}
		gate := make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		DeferCleanup(open)
		fake.during = func(ctx context.Context) error {
			select {
			case <-gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		startManager(ctx, fake, busy, namespace)
		finishMany(ctx, busy, many)
		Eventually(fake.readings).Should(Equal(workers), "every worker is at work")

		object := completed(ctx, aJobCalled("other"))
		open()

		Eventually(func() bool {
			return slices.ContainsFunc(fake.readPods(), func(pods []string) bool { return len(pods) == 1 })
		}).Should(BeTrue())
		before := slices.IndexFunc(fake.readPods(), func(pods []string) bool { return len(pods) == 1 })
		AddReportEntry("Jobs before it", before)
		// Those that are being handled, a step of its namespace, and what came
		// between the two while the watch told of it.
		Expect(before).To(BeNumerically("<=", 3*workers+10))
		Eventually(ctx, func(ctx context.Context) error {
			return kube.Get(ctx, client.ObjectKeyFromObject(object), &batchv1.Job{})
		}).Should(Satisfy(apierrors.IsNotFound))
		expectStored(ctx, object)

		By("being handled meanwhile")
		Eventually(fake.readings, time.Minute).Should(BeNumerically(">=", many/2))
	}, SpecTimeout(specTimeout))
})

// finishMany creates stamped Jobs that completed without a pod.
func finishMany(ctx context.Context, in string, count int) {
	GinkgoHelper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range count {
		group.Go(func() error {
			object := stamped(jobtest.MakeJob(in, fmt.Sprintf("job-%d", i)))
			if err := kube.Create(ctx, object); err != nil {
				return fmt.Errorf("creating: %w", err)
			}
			end := metav1.NewTime(time.Now().Truncate(time.Second))
			object.Status.StartTime, object.Status.CompletionTime = &end, &end
			object.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
			const message = "Reached expected number of succeeded pods"
			object.Status.Conditions = ending(batchv1.JobComplete, end, batchv1.JobReasonCompletionsReached, message)
			if err := kube.Status().Update(ctx, object); err != nil {
				return fmt.Errorf("ending: %w", err)
			}
			return nil
		})
	}
	Expect(group.Wait()).To(Succeed())
}
