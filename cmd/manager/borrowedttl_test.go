package main_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
)

// No controller runs, so that a Job stands where a spec leaves it.
var _ = Describe("A TTL that is raised", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = optedInNamespace(ctx) })

	Context("with webhook and manager", Ordered, ContinueOnFailure, func() {
		BeforeAll(func(ctx SpecContext) { startLeader(ctx) })

		for name, flags := range map[string][]string{
			"server-side": {"--server-side"},
			"client-side": nil,
		} {
			It("is no conflict and no difference to kubectl: "+name, func(ctx SpecContext) {
				manifest := manifestOf(namespace, "report", 60)
				apply := func(g Gomega, path string, more ...string) string {
					return kubectl(ctx, g, append(append([]string{"apply", "-f", path}, flags...), more...)...)
				}
				apply(Default, manifest)
				first := awaitRaised(ctx, namespace, "report")
				Expect(first.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, "60;raised=3600"))
				for range 3 {
					apply(Default, manifest)
					apply(Default, manifest, "--dry-run=server")
					Expect(jobNow(ctx, namespace, "report").ResourceVersion).To(Equal(first.ResourceVersion))
				}
				Expect(kubectl(ctx, Default, append([]string{"diff", "-f", manifest}, flags...)...)).To(BeEmpty())

				By("applying another value, and none")
				apply(Default, manifestOf(namespace, "report", 86400))
				longer := jobNow(ctx, namespace, "report")
				Expect(longer.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(86400)))
				Expect(longer.Annotations).NotTo(HaveKey(api.TTLAnnotation))
				apply(Default, manifestOf(namespace, "report", -1))
				Expect(jobNow(ctx, namespace, "report").Spec.TTLSecondsAfterFinished).To(BeNil())
				apply(Default, manifest)
				Expect(jobNow(ctx, namespace, "report").Annotations).To(HaveKeyWithValue(api.TTLAnnotation, "60;raised=3600"))
			}, SpecTimeout(specTimeout))
		}

		usersTTL(&namespace, "seen by the webhook")

		It("leaves a Job the labels that Kubernetes gives it", func(ctx SpecContext) {
			create := func(namespace string) *batchv1.Job {
				job := jobtest.MakeJob(namespace, "report").TemplateLabel("app", "report").Obj()
				Expect(kube.Create(ctx, job)).To(Succeed())
				return job
			}
			plain := create(plainNamespace(ctx))
			create(namespace)
			Expect(kubectl(ctx, Default, "get", "jobs", "-n", namespace, "-l", "job-name=report", "-o", "name")).To(Equal("job.batch/report\n"))
			fail(ctx, namespace, "report")
			Eventually(func(g Gomega) {
				job := jobNow(ctx, namespace, "report")
				g.Expect(job.Annotations).To(HaveKey(api.StatusAnnotation))
				want := maps.Clone(plain.Labels)
				want["controller-uid"], want[batchv1.ControllerUidLabel] = string(job.UID), string(job.UID)
				want[api.EnabledLabel] = api.True
				g.Expect(job.Labels).To(Equal(want))
			}).Should(Succeed())
		}, SpecTimeout(specTimeout))

		It("is left to `job-handler release`, which takes it back", func(ctx SpecContext) {
			Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "report").TTL(60).Obj())).To(Succeed())
			raised := awaitRaised(ctx, namespace, "report")
			released := raised.DeepCopy()
			delete(released.Annotations, api.TTLAnnotation)
			released.Labels[api.EnabledLabel] = api.False
			released.Spec.TTLSecondsAfterFinished = new(int32(60))
			Expect(kube.Patch(ctx, released, client.MergeFrom(raised))).To(Succeed())
			Expect(released.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(60)))
		}, SpecTimeout(specTimeout))

		It("belongs to a Job that is kept where another client makes it again after each deletion", func(ctx SpecContext) {
			for range 2 {
				Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "migrate").Obj())).To(Succeed())
				complete(ctx, namespace, "migrate")
				Eventually(func() error {
					return kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "migrate"}, &batchv1.Job{})
				}).Should(MatchError(ContainSubstring("not found")))
			}
			Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "migrate").Obj())).To(Succeed())
			complete(ctx, namespace, "migrate")
			Eventually(func(g Gomega) {
				g.Expect(jobNow(ctx, namespace, "migrate").Annotations).To(HaveKey(api.StatusAnnotation))
				g.Expect(warningsIn(ctx, namespace)).To(ContainElement(ContainSubstring("Another client recreates this Job after each deletion")))
			}).Should(Succeed())
			Consistently(func(g Gomega) { jobNow(ctx, namespace, "migrate") }, "2s").Should(Succeed())
		}, SpecTimeout(specTimeout))
	})

	Context("without the webhook", Ordered, ContinueOnFailure, func() {
		BeforeAll(func(ctx SpecContext) {
			leader, _ := startLeader(ctx)
			Expect(leader.Uninstall(ctx)).To(Succeed())
		})

		usersTTL(&namespace, "missed by the webhook")

		It("is corrected a few times, and then left with a Warning", func(ctx SpecContext) {
			Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "report").Label(api.EnabledLabel, api.True).TTL(10).Obj())).To(Succeed())
			corrections := 0
			Eventually(func(g Gomega) {
				if job := jobNow(ctx, namespace, "report"); *job.Spec.TTLSecondsAfterFinished != 10 {
					corrections++
					setTTL(ctx, namespace, "report", new(int32(10)))
				}
				g.Expect(warningsIn(ctx, namespace)).To(ContainElement(And(
					ContainSubstring("Another client keeps setting ttlSecondsAfterFinished to 10"), ContainSubstring("are lost"))))
			}).WithPolling(20 * time.Millisecond).Should(Succeed())
			Expect(corrections).To(Equal(4))
			Consistently(func(g Gomega) {
				g.Expect(jobNow(ctx, namespace, "report").Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
			}, "2s").Should(Succeed())
		}, SpecTimeout(specTimeout))

		It("is not corrected again where the Job's controller takes it back", func(ctx SpecContext) {
			job := jobtest.MakeJob(namespace, "report").Label(api.EnabledLabel, api.True).TTL(10).
				OwnedBy("example.com/v1", "Report", "r", "u").Obj()
			Expect(kube.Create(ctx, job)).To(Succeed())
			awaitRaised(ctx, namespace, "report")
			setTTL(ctx, namespace, "report", new(int32(10)))
			Eventually(func() []string { return warningsIn(ctx, namespace) }).Should(ContainElement(ContainSubstring("keeps setting")))
			Expect(jobNow(ctx, namespace, "report").Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		}, SpecTimeout(specTimeout))
	})
})

// usersTTL has the user change the TTL of a raised Job, before it has finished and
// after, and looks what the Job has once it is stored.
func usersTTL(namespace *string, seen string) {
	for name, ttl := range map[string]*int32{"86400": new(int32(86400)), "600": new(int32(600)), "no TTL": nil} {
		It("is given up for "+name+" of the user's, "+seen, func(ctx SpecContext) {
			for _, job := range []string{"before", "after"} {
				Expect(kube.Create(ctx, jobtest.MakeJob(*namespace, job).Label(api.EnabledLabel, api.True).TTL(30).Obj())).To(Succeed())
				awaitRaised(ctx, *namespace, job)
			}
			setTTL(ctx, *namespace, "before", ttl)
			fail(ctx, *namespace, "before")
			fail(ctx, *namespace, "after")
			setTTL(ctx, *namespace, "after", ttl)
			for _, name := range []string{"before", "after"} {
				Eventually(func(g Gomega) {
					job := jobNow(ctx, *namespace, name)
					g.Expect(job.Annotations).To(And(HaveKey(api.StatusAnnotation), Not(HaveKey(api.TTLAnnotation))))
					g.Expect(job.Spec.TTLSecondsAfterFinished).To(Equal(ttl))
				}).Should(Succeed())
			}
		}, SpecTimeout(specTimeout))
	}
}

// manifestOf writes a manifest, without a TTL where that is negative.
func manifestOf(namespace, name string, ttl int) string {
	line := ""
	if ttl >= 0 {
		line = fmt.Sprintf("  ttlSecondsAfterFinished: %d\n", ttl)
	}
	path := filepath.Join(GinkgoT().TempDir(), fmt.Sprintf("job-%d.yaml", ttl))
	text := fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {namespace: %s, name: %s}\nspec:\n%s"+
		"  template:\n    metadata: {labels: {app: report}}\n    spec:\n      restartPolicy: Never\n"+
		"      containers: [{name: main, image: busybox, command: ['true']}]\n", namespace, name, line)
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	return path
}

func kubectl(ctx context.Context, g Gomega, args ...string) string {
	GinkgoHelper()
	args = append([]string{"--kubeconfig", kube.Cluster().Kubeconfig()}, args...)
	output, err := exec.CommandContext(ctx, kube.Cluster().Kubectl(), args...).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), "kubectl %s: %s", strings.Join(args, " "), output)
	return string(output)
}

func optedInNamespace(ctx context.Context) string {
	return namespaceOf(ctx, jobtest.MakeNamespace("").Label(api.EnabledLabel, api.True))
}

func plainNamespace(ctx context.Context) string { return namespaceOf(ctx, jobtest.MakeNamespace("")) }

func namespaceOf(ctx context.Context, builder *jobtest.NamespaceBuilder) string {
	namespace := builder.Obj()
	namespace.GenerateName = "ttl-"
	Expect(kube.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

func jobNow(ctx context.Context, namespace, name string) *batchv1.Job {
	GinkgoHelper()
	job := &batchv1.Job{}
	Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, job)).To(Succeed())
	return job
}

func awaitRaised(ctx context.Context, namespace, name string) *batchv1.Job {
	GinkgoHelper()
	var job *batchv1.Job
	Eventually(func(g Gomega) {
		job = jobNow(ctx, namespace, name)
		g.Expect(job.Spec.TTLSecondsAfterFinished).To(HaveValue(BeNumerically(">=", 3600)))
	}).Should(Succeed())
	return job
}

func setTTL(ctx context.Context, namespace, name string, ttl *int32) {
	GinkgoHelper()
	job := jobNow(ctx, namespace, name)
	changed := job.DeepCopy()
	changed.Spec.TTLSecondsAfterFinished = ttl
	Expect(kube.Patch(ctx, changed, client.MergeFrom(job))).To(Succeed())
}

func fail(ctx context.Context, namespace, name string) {
	end(ctx, namespace, name, versions.Ending(batchv1.JobFailed)...)
}

func complete(ctx context.Context, namespace, name string) {
	end(ctx, namespace, name, versions.Ending(batchv1.JobComplete)...)
}

// end gives the Job the status of one that ended, as its controller would.
func end(ctx context.Context, namespace, name string, conditions ...batchv1.JobConditionType) {
	GinkgoHelper()
	now := metav1.Now()
	Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job := jobNow(ctx, namespace, name)
		job.Status.StartTime = &now
		for _, condition := range conditions {
			job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
				Type: condition, Status: corev1.ConditionTrue, Reason: "Test", LastTransitionTime: now,
			})
		}
		if slices.Contains(conditions, batchv1.JobComplete) {
			job.Status.CompletionTime = &now
			job.Status.UncountedTerminatedPods = nil
		}
		return kube.Status().Update(ctx, job)
	})).To(Succeed())
}

func warningsIn(ctx context.Context, namespace string) []string {
	var events eventsv1.EventList
	Expect(kube.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
	var notes []string
	for i := range events.Items {
		if events.Items[i].Type == corev1.EventTypeWarning {
			notes = append(notes, events.Items[i].Note)
		}
	}
	return notes
}
