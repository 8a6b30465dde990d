package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/results"
)

// counting has a script know in $n how often it ran before.
const counting = `n=$(cat /count/n 2>/dev/null || echo 0); echo $((n+1)) >/count/n; `

// lived is what a script wrote that says when it starts and ends.
func lived(n int) string { return fmt.Sprintf("life %d starts\nlife %d ends\n", n, n) }

// living runs for so many seconds, and says so at its start and its end.
func living(seconds int) string {
	return fmt.Sprintf(`echo "life $n starts"; sleep %d; echo "life $n ends"; `, seconds)
}

// wholeOrNamed wants of the main container, whose instances wrote these texts, each text
// be there in the right place, or the results to say that it is not.
func (s *story) wholeOrNamed(r run, texts ...string) {
	s.t.Helper()
	s.Expect(r.record.Pods).To(HaveLen(1))
	var container results.ContainerRecord
	for _, c := range r.record.Pods[0].Containers {
		if c.Name == "main" {
			container = c
		}
	}
	s.Expect(container.RestartCount).To(BeEquivalentTo(len(texts) - 1))
	captures := make([]*results.CaptureRecord, len(texts))
	for i, instance := range container.Instances {
		s.Expect(instance.Restart).NotTo(BeNil(), "instance %d", i)
		captures[*instance.Restart] = &instance.Capture
	}
	captures[len(texts)-2], captures[len(texts)-1] = container.PreviousCapture, &container.Capture
	whole := true
	for i, capture := range captures {
		switch {
		case capture == nil:
			whole = false
			s.Expect(container.EarlierInstances).To(BeNumerically(">", 0), "instance %d is not named", i)
		case capture.Complete:
			s.Expect(capture.BytesSeen).To(BeEquivalentTo(len(texts[i])), "instance %d", i)
		default:
			whole = false
			s.t.Logf("instance %d: %s: %s, %d bytes", i, capture.Reason, capture.Message, capture.BytesSeen)
		}
	}
	if !whole {
		s.Expect(r.record.Capture.Complete).To(BeFalse())
	}
	for _, log := range r.logs() {
		if log.Container != "main" || strings.HasPrefix(log.Text, "[job-handler: no log") {
			continue
		}
		at := len(texts) - 1
		if log.Previous {
			at--
		}
		if log.Instance != "" {
			_, err := fmt.Sscanf(log.Instance, "%d of ", &at)
			s.Expect(err).NotTo(HaveOccurred())
			at--
		}
		said, _, _ := strings.Cut(log.Text, "[job-handler:")
		s.Expect(texts[at]).To(HavePrefix(said), "instance %d", at)
	}
}

// wholeLife is how long an instance has to run for the log of the one before it to be
// kept whole, from when its node has told that it runs: on a busy machine that is late.
const wholeLife = 5 * time.Second

// livesWhole: a container that runs for some seconds and is started again three times,
// leaves all four logs behind, and how each ended.
func livesWhole(s *story) {
	s.optedIn()
	job := s.start(s.job("persistent", counting+
		`echo "life $n starts"; until [ -e /count/end-$n ]; do sleep 0.1; done; echo "life $n ends"; exit $((3-n))`).
		HostFolder(s.folder("count"), "/count").RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(10))
	for restarts := range int32(4) {
		runs := func(g Gomega) {
			pods := s.pods(g, job)
			g.Expect(pods).To(HaveLen(1))
			g.Expect(pods[0].Status.ContainerStatuses).To(HaveExactElements(And(
				HaveField("RestartCount", restarts), HaveField("State.Running", Not(BeNil())))))
		}
		s.eventually(runs)
		s.always(wholeLife, runs)
		s.Expect(os.WriteFile(filepath.Join(s.folder("count"), fmt.Sprintf("end-%d", restarts)), nil, 0o644)).To(Succeed())
	}

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.wholeOrNamed(r, lived(0), lived(1), lived(2), lived(3))
	s.Expect(r.texts()).To(HaveExactElements(lived(0), lived(1), lived(2), lived(3)))
	s.Expect(r.logs()[0].Instance).To(Equal("1 of 4"))
	container := r.record.Pods[0].Containers[0]
	s.Expect(container.EarlierInstances).To(BeZero())
	s.Expect(container.Instances).To(HaveExactElements(
		HaveField("State.ExitCode", HaveValue(BeEquivalentTo(3))), HaveField("State.ExitCode", HaveValue(BeEquivalentTo(2)))))
}

// defaultBackoff has a kubelet wait before it starts a container again as long as one
// does that is told nothing.
const defaultBackoff = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
crashLoopBackOff: {maxContainerRestartPeriod: 300s}
`

// livesWithBackoff: with a kubelet's own pauses between them, all logs of a container are
// there that fails at once each time.
func livesWithBackoff(s *story) {
	settings := filepath.Join(s.w.kubeletSettings(), "backoff.conf")
	s.Expect(os.WriteFile(settings, []byte(defaultBackoff), 0o644)).To(Succeed())
	restart := func() {
		s.Expect(s.w.cluster.Kill(s.ctx(), localcluster.Kubelet)).To(Succeed())
		s.Expect(s.w.cluster.Restart(s.ctx(), localcluster.Kubelet)).To(Succeed())
	}
	restart()
	s.optedIn()
	job := s.start(s.job("hopeful", counting+`echo "life $n starts"; echo "life $n ends"; exit $((3-n))`).
		HostFolder(s.folder("count"), "/count").RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(10))

	s.gone(job)
	r := s.stored(job)
	s.Expect(os.Remove(settings)).To(Succeed())
	restart()
	s.complete(r)
	s.wholeOrNamed(r, lived(0), lived(1), lived(2), lived(3))
	s.Expect(s.at(r, api.DataCompletionTime).Sub(s.at(r, api.DataStartTime))).To(BeNumerically(">", 20*time.Second), "there were pauses")
}

// shortLives: of a container that is started again at once, each log is whole, or it is
// said that it is not there.
func shortLives(s *story) {
	s.optedIn()
	job := s.start(s.job("impatient", counting+`echo "life $n starts"; sleep 0.2; echo "life $n ends"; [ $n = 7 ]`).
		HostFolder(s.folder("count"), "/count").RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(10))

	s.gone(job)
	var texts []string
	for n := range 8 {
		texts = append(texts, lived(n))
	}
	s.wholeOrNamed(s.stored(job), texts...)
}

// restartRules: a container that its own rules start again in its place leaves all logs
// behind.
func restartRules(s *story) {
	s.optedIn()
	job := s.start(s.job("ruled", counting+living(5)+`[ $n = 2 ] || exit 42`).
		HostFolder(s.folder("count"), "/count").RestartRule(corev1.ContainerRestartRuleActionRestart, 42))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.wholeOrNamed(r, lived(0), lived(1), lived(2))
}

// restartingAll: where one container has all of its pod be started again, the kubelet
// removes them with their logs; what could be read of them is there, and what could not
// is named.
func restartingAll(s *story) {
	s.optedIn()
	job := s.start(s.job("together", counting+living(5)+`[ $n = 1 ] || exit 42`).HostFolder(s.folder("count"), "/count").
		RestartRule(corev1.ContainerRestartRuleActionRestartAllContainers, 42).
		Container("helper", `echo "helping"; sleep 8; echo "helped"`))

	s.gone(job)
	r := s.stored(job)
	s.wholeOrNamed(r, lived(0), lived(1))
	helper := r.record.Pods[0].Containers[1]
	s.Expect(helper.RestartCount).To(BeEquivalentTo(1))
	s.Expect(helper.Capture.BytesSeen).To(BeEquivalentTo(len("helping\nhelped\n")))
	s.Expect(helper.PreviousCapture).NotTo(BeNil())
	if helper.PreviousCapture.Complete {
		// A kubelet that is slow lets it end by itself.
		s.Expect(helper.PreviousCapture.BytesSeen).To(Or(BeEquivalentTo(len("helping\n")), BeEquivalentTo(len("helping\nhelped\n"))))
	}
	s.t.Logf("of the other container: %+v", *helper.PreviousCapture)
}

// livesWhileDown: of a container that goes on while the manager is killed, what is read
// before and after that is there, and what is lost is named.
func livesWhileDown(s *story, d *downtime) {
	s.optedIn()
	job := s.start(s.job("outliving", counting+living(5)+`[ $n -lt 2 ] && exit 1; until [ -e /count/open-$n ]; do sleep 0.5; done; [ $n = 4 ]`).
		HostFolder(s.folder("count"), "/count").RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(10))
	s.restarted(job, 2)
	d.begin(s)
	s.touch("count", "open-2")
	s.restarted(job, 3)
	d.end(s)
	s.led()
	s.touch("count", "open-3")
	s.restarted(job, 4)
	s.touch("count", "open-4")

	s.gone(job)
	r := s.stored(job)
	s.wholeOrNamed(r, lived(0), lived(1), lived(2), lived(3), lived(4))
	container := r.record.Pods[0].Containers[0]
	s.Expect(container.PreviousCapture.Complete).To(BeTrue(), "it ended when the manager was back")
	s.Expect(container.EarlierInstances).To(BeNumerically(">=", 2), "nobody read the first two and had them stored")
	s.Expect(r.record.Capture.Why).To(ContainSubstring(results.ReasonInstancesGone))
}

// restarted waits until the main container of the Job's pod runs after so many restarts.
func (s *story) restarted(job *batchv1.Job, times int32) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		pods := s.pods(g, job)
		g.Expect(pods).To(HaveLen(1))
		g.Expect(pods[0].Status.ContainerStatuses).To(ContainElement(And(
			HaveField("RestartCount", times), HaveField("State.Running", Not(BeNil())))))
	})
}

// led waits until a manager leads from now on.
func (s *story) led() {
	s.t.Helper()
	now := time.Now()
	s.eventually(func(g Gomega) {
		lease := &coordinationv1.Lease{}
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName}, lease)).To(Succeed())
		g.Expect(lease.Spec.RenewTime.Time).To(BeTemporally(">", now))
	})
}
