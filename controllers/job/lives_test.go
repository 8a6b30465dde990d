package job_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

var _ joblogs.LogStreamer = &restarts{}

// restarts is a container that is started again, as the kubelet tells of it.
type restarts struct {
	mu sync.Mutex
	// lives is how many instances there were.
	lives int
	// asked are the logs that were asked for, from their beginning.
	asked []string
}

const (
	lifeTime = 10 * time.Second
	current  = "current"
	previous = "previous"
)

var firstLife = time.Now().Add(-time.Hour).Truncate(time.Second)

func lifeText(n int) string { return fmt.Sprintf("this is %d\n", n) }

func startOf(n int) time.Time { return firstLife.Add(time.Duration(n) * 2 * lifeTime) }

func (r *restarts) OpenLog(_ context.Context, _, _ string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, what := r.lives-1, current
	if opts.Previous {
		at, what = at-1, previous
	}
	if opts.TailLines == nil {
		if opts.Follow {
			what = "follow " + what
		}
		r.asked = append(r.asked, what)
	}
	text := lifeText(at)
	if opts.Timestamps {
		text = startOf(at).UTC().Format(time.RFC3339Nano) + " " + text
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (r *restarts) readings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// restart returns the number of an instance that starts now.
func (r *restarts) restart() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives++
	return r.lives - 1
}

func endOf(n int, exitCode int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: fmt.Sprintf("containerd://%d", n), ExitCode: exitCode, Reason: "Error",
		StartedAt: metav1.NewTime(startOf(n)), FinishedAt: metav1.NewTime(startOf(n).Add(lifeTime)),
	}}
}

var _ = Describe("The controller in a manager, of containers that are started again,", func() {
	var (
		fake    *logs
		kubelet *restarts
	)

	BeforeEach(func() {
		kubelet = &restarts{}
		fake = &logs{captures: capture.New(joblogs.NewReader(kubelet, joblogs.Options{}), capture.Options{})}
	})

	onFailure := func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }
	// update sets the status of the pod's container.
	update := func(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, change func(status *corev1.ContainerStatus)) {
		GinkgoHelper()
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		pod.Status.Phase = phase
		change(&pod.Status.ContainerStatuses[0])
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
	}
	// begin has an instance of the container begin.
	begin := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		n := kubelet.restart()
		update(ctx, pod, corev1.PodRunning, func(status *corev1.ContainerStatus) {
			status.ContainerID, status.RestartCount = fmt.Sprintf("containerd://%d", n), int32(n)
			status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(startOf(n))}}
			if n > 0 {
				status.LastTerminationState = endOf(n-1, 1)
			}
		})
	}
	// end has it end.
	end := func(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, exitCode int32) {
		GinkgoHelper()
		update(ctx, pod, phase, func(status *corev1.ContainerStatus) { status.State = endOf(int(status.RestartCount), exitCode) })
	}
	asked := func(ctx context.Context, readings ...string) {
		GinkgoHelper()
		Eventually(ctx, kubelet.readings).Should(HaveExactElements(readings))
	}
	// stored ends the Job and returns its results.
	stored := func(ctx context.Context, object *batchv1.Job) (results.Record, *corev1.ConfigMap) {
		GinkgoHelper()
		fake.read = func(pod *corev1.Pod, container string) results.ContainerLog {
			return whole(container, lifeText(int(pod.Status.ContainerStatuses[0].RestartCount)))
		}
		fail(ctx, object, 1)
		Eventually(ctx, func(g Gomega) {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			g.Expect(now.Annotations).To(HaveKey(api.StatusAnnotation))
		}).Should(Succeed())
		return recordOf(expectStored(ctx, object)), expectStored(ctx, object)
	}

	It("reads each instance when its end is seen, and has all in the results", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("pod"), atWork, onFailure)
		begin(ctx, pod)
		end(ctx, pod, corev1.PodRunning, 1)
		asked(ctx, current)
		begin(ctx, pod)
		begin(ctx, pod)
		asked(ctx, current, previous)
		begin(ctx, pod)
		asked(ctx, current, previous, previous)
		end(ctx, pod, corev1.PodFailed, 3)
		record, object2 := stored(ctx, object)
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		container := record.Pods[0].Containers[0]
		Expect(container.EarlierInstances).To(BeZero())
		Expect(container.Instances).To(HaveExactElements(
			HaveField("ContainerID", "containerd://0"), HaveField("ContainerID", "containerd://1")))
		Expect(object2.Data[api.DataLogs]).To(And(
			ContainSubstring("container main, instance 1 of 4 (node node-1, exit code 1) <==\n"+lifeText(0)),
			ContainSubstring("container main, instance 2 of 4 (node node-1, exit code 1) <==\n"+lifeText(1)),
			ContainSubstring("container main, previous instance (node node-1, exit code 1) <==\n"+lifeText(2)),
			ContainSubstring("container main (node node-1, exit code 3) <==\n"+lifeText(3))))
		asked(ctx, current, previous, previous)
	}, SpecTimeout(specTimeout))

	It("asks for no log of containers that are not started again, or of which none is wanted", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		for name, policy := range map[string]corev1.RestartPolicy{"never": corev1.RestartPolicyNever, "once": corev1.RestartPolicyOnFailure} {
			pod := addPod(ctx, running(ctx, aJobCalled(name)), named(name), atWork, func(pod *corev1.Pod) { pod.Spec.RestartPolicy = policy })
			begin(ctx, pod)
			exitCode := int32(1)
			if policy == corev1.RestartPolicyOnFailure {
				exitCode = 0
			}
			end(ctx, pod, corev1.PodRunning, exitCode)
			kubelet.lives = 0
		}
		status := running(ctx, aJobCalled("status").Annotation(api.LogModeAnnotation, api.LogModeStatus))
		pod := addPod(ctx, status, named("status"), atWork, onFailure)
		begin(ctx, pod)
		begin(ctx, pod)
		kubelet.lives = 0
		last := addPod(ctx, running(ctx, aJob()), named("last"), atWork, onFailure)
		begin(ctx, last)
		end(ctx, last, corev1.PodRunning, 1)
		asked(ctx, current)
		Consistently(ctx, kubelet.readings).Should(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("stores what it read when it ends, and goes on where another one ended", func(ctx SpecContext) {
		stop := startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("pod"), atWork, onFailure)
		begin(ctx, pod)
		begin(ctx, pod)
		asked(ctx, previous)
		begin(ctx, pod)
		asked(ctx, previous, previous)
		Consistently(ctx, func() []corev1.ConfigMap { return capturesIn(ctx) }).Should(BeEmpty(), "while the pod runs")
		stop()
		Expect(capturesIn(ctx)).To(HaveLen(1))

		fake.captures = capture.New(joblogs.NewReader(kubelet, joblogs.Options{}), capture.Options{})
		startManager(ctx, fake, namespace)
		asked(ctx, previous, previous, previous)
		begin(ctx, pod)
		asked(ctx, previous, previous, previous, previous)
		end(ctx, pod, corev1.PodFailed, 3)
		record, _ := stored(ctx, object)
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.Pods[0].Containers[0].Instances).To(HaveLen(2))
	}, SpecTimeout(specTimeout))

	It("says how many nobody read", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("pod"), atWork, onFailure)
		for range 4 {
			begin(ctx, pod)
		}
		startManager(ctx, fake, namespace)
		asked(ctx, previous)
		end(ctx, pod, corev1.PodFailed, 3)
		record, _ := stored(ctx, object)
		Expect(record.Capture.Why).To(ContainSubstring(results.ReasonInstancesGone + " (2 logs"))
		Expect(record.Pods[0].Containers[0].EarlierInstances).To(Equal(2))
	}, SpecTimeout(specTimeout))

	It("follows all logs of a pod whose containers are all started again in place", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		rules := func(pod *corev1.Pod) {
			pod.Spec.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
			pod.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{{
				Action: corev1.ContainerRestartRuleActionRestartAllContainers,
				ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
					Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42},
				},
			}}
		}
		pod := addPod(ctx, object, named("pod"), atWork, rules)
		begin(ctx, pod)
		Consistently(ctx, kubelet.readings).Should(BeEmpty())
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(startOf(0).Add(lifeTime)),
		})
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		Eventually(ctx, kubelet.readings).Should(ContainElement("follow " + current))
		end(ctx, pod, corev1.PodFailed, 3)
		stored(ctx, object)
	}, SpecTimeout(specTimeout))
})
