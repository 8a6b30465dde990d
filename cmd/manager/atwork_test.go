package main_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/setaside"
)

// A node takes connections and answers none: a log is being read from it until the
// manager gives up, or is killed.
func silentNode(ctx context.Context, name string) (answer func()) {
	GinkgoHelper()
	silent, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { silent.Close() })
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(kube.Create(ctx, node)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(kube.Delete(ctx, node))).To(Succeed()) })
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(silent.Addr().(*net.TCPAddr).Port)
	Expect(kube.Status().Update(ctx, node)).To(Succeed())
	return func() { silent.Close() }
}

// finish has a Job be complete, as the Job controller says it, with so many pods.
func finish(ctx context.Context, job *batchv1.Job, pods int32) {
	GinkgoHelper()
	now := metav1.Now()
	job.Status.StartTime, job.Status.CompletionTime, job.Status.Succeeded = &now, &now, pods
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	job.Status.Conditions = nil
	for _, kind := range versions.Ending(batchv1.JobComplete) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	Expect(kube.Status().Update(ctx, job)).To(Succeed())
}

func noted(ctx context.Context) setaside.Record {
	GinkgoHelper()
	at := &coordinationv1.Lease{}
	Expect(kube.Get(ctx, client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.AtWorkLease}, at)).To(Succeed())
	record := setaside.Decode(at.Annotations[api.AtWorkAnnotation])
	record.Holder = *at.Spec.HolderIdentity
	return record
}

var _ = Describe("A Job during whose handling the process is killed twice", func() {
	It("is set aside with a Warning, and handled after others", func(ctx SpecContext) {
		answer := silentNode(ctx, "silent")
		leader, _ := startLeader(ctx)
		Expect(leader.AwaitAdmission(ctx)).To(Succeed())
		newJob := func(name string) *batchv1.Job {
			job := jobtest.MakeJob(metav1.NamespaceDefault, name).Label(api.EnabledLabel, api.True).Obj()
			Expect(kube.Create(ctx, job)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) {
				Expect(client.IgnoreNotFound(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground)))).To(Succeed())
			})
			return job
		}
		culprit := newJob("culprit")
		pod := runningPodOn(ctx, culprit, "silent")
		pod.Status.Phase = corev1.PodSucceeded
		pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", ContainerID: "containerd://0", StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
		}}
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		finish(ctx, culprit, 1)

		By("killing the leader twice while it reads the log")
		var before string
		for range 2 {
			Eventually(func(g Gomega) {
				g.Expect(noted(ctx).Holder).NotTo(Equal(before), "it is the note of the process before")
				g.Expect(slices.Contains(noted(ctx).AtWork, culprit.UID)).To(BeTrue())
			}).Should(Succeed())
			before = noted(ctx).Holder
			Expect(leader.Kill(ctx)).To(Succeed())
			leader, _ = startLeader(ctx)
		}
		warnings := func() []string {
			var found eventsv1.EventList
			Expect(kube.List(ctx, &found, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
			var notes []string
			for _, event := range found.Items {
				if event.Regarding.UID == culprit.UID && strings.Contains(event.Note, "ended 2 times") {
					notes = append(notes, event.Type+" "+event.Note)
				}
			}
			return notes
		}
		Eventually(warnings).Should(ConsistOf(HavePrefix("Warning ")))

		By("serving others beside it")
		gone := func(job *batchv1.Job) func(Gomega) {
			return func(g Gomega) {
				now := &batchv1.Job{}
				g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(job), now)).To(MatchError(ContainSubstring("not found")))
			}
		}
		for _, name := range []string{"neighbour-1", "neighbour-2", "neighbour-3"} {
			neighbour := newJob(name)
			finish(ctx, neighbour, 0)
			Eventually(gone(neighbour), time.Minute).Should(Succeed())
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(culprit), culprit)).To(Succeed())
		}

		By("handling it all the same")
		answer()
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(func(g Gomega) {
			now := &batchv1.Job{}
			if err := kube.Get(ctx, client.ObjectKeyFromObject(culprit), now); err == nil {
				g.Expect(now.Annotations).To(HaveKey(api.StatusAnnotation))
			}
			g.Expect(noted(ctx).Ended).To(BeEmpty())
		}, time.Minute).Should(Succeed())
		Expect(warnings()).To(HaveLen(1))

		By("ending in order")
		Expect(leader.Stop(ctx)).To(Succeed())
		Expect(noted(ctx)).To(Equal(setaside.Record{}))
	}, SpecTimeout(specTimeout))
})
