package job_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// mostVerbose is the highest level that --v takes.
const mostVerbose = 7

// lines collects what the manager logs.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) add(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(&l.text, prefix, args)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var _ = Describe("What a program writes", func() {
	// marker is in everything that a program, or a kubelet that quotes it, says.
	const marker = "m4rk3r of a secret"

	say := func(pod *corev1.Pod) {
		pod.Status.Reason, pod.Status.Message = marker, marker
		for i := range pod.Status.ContainerStatuses {
			status := &pod.Status.ContainerStatuses[i]
			status.State.Terminated.Reason, status.State.Terminated.Message = marker, "key="+marker
		}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "x", Message: marker}}
	}
	waits := func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.Reason, pod.Status.Message = marker, marker
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: marker, Message: marker}},
		}}
	}
	// captures are the outcomes of reading that quote a kubelet.
	captures := map[string]results.Capture{
		"whole":  {Complete: true},
		"text":   {Reason: results.ReasonLogUnavailable, Message: "failed to open log file " + marker},
		"gone":   {Reason: results.ReasonContainerGone, Message: marker},
		"never":  {Reason: results.ReasonNeverStarted, Message: marker},
		"server": {Reason: results.ReasonNodeUnreachable, Message: marker, Retryable: true},
	}

	It("is in the results, and not in the manager's log, Events or metrics", func(ctx SpecContext) {
		log := &lines{}
		fake := &logs{read: func(pod *corev1.Pod, container string) results.ContainerLog {
			read := whole(container, marker+"\n")
			for name, capture := range captures {
				if strings.HasPrefix(pod.Name, name) {
					read.Capture = capture
				}
			}
			return read
		}}
		startLoggingManager(ctx, funcr.New(log.add, funcr.Options{Verbosity: mostVerbose}), time.Second, fake, namespace)

		var jobs []*batchv1.Job
		for name := range captures {
			object := running(ctx, aJobCalled(name))
			addPod(ctx, object, named(name+"-pod"), ended(1), say)
			addPod(ctx, object, named(name+"-waits"), waits)
			fail(ctx, object, 3)
			jobs = append(jobs, object)
		}
		taken := &corev1.ConfigMap{Data: map[string]string{"x": marker}}
		taken.Namespace, taken.Name = namespace, "taken-results"
		Expect(kube.Create(ctx, taken)).To(Succeed())
		object := running(ctx, aJobCalled("taken"))
		addPod(ctx, object, ended(1), say)
		fail(ctx, object, 1)
		jobs = append(jobs, object)
		for _, object := range jobs {
			if object.Name == "server" {
				Eventually(ctx, warningsOf).WithArguments(object).Should(ContainElement(ContainSubstring("cannot be read yet")))
				continue
			}
			Eventually(ctx, func(g Gomega, ctx context.Context) {
				now := &batchv1.Job{}
				g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
				g.Expect(now.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
				g.Expect(now.Annotations[api.CaptureAnnotation]).NotTo(ContainSubstring(marker))
			}).Should(Succeed())
			Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring(marker))
		}
		forbidConfigMaps(ctx)
		refused := running(ctx, aJobCalled("refused"))
		addPod(ctx, refused, ended(1), say)
		fail(ctx, refused, 1)
		Eventually(ctx, warningsOf).WithArguments(refused).Should(ContainElement(ContainSubstring("This Job could not be handled yet")))

		Expect(log.String()).To(And(ContainSubstring("results stored"), ContainSubstring("decided"), Not(ContainSubstring(marker))))
		var events eventsv1.EventList
		Expect(kube.List(ctx, &events, client.InNamespace(namespace))).To(Succeed())
		Expect(len(events.Items)).To(BeNumerically(">", len(jobs)))
		for i := range events.Items {
			Expect(fmt.Sprintf("%+v", events.Items[i])).NotTo(ContainSubstring(marker))
		}
		families, err := metrics.Registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		Expect(families).NotTo(BeEmpty())
		for _, family := range families {
			Expect(family.String()).NotTo(ContainSubstring("m4rk3r"))
		}
	}, SpecTimeout(specTimeout))
})
