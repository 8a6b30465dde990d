package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	// How soon another replica handles Jobs after the leader was killed, and
	// after it was asked to end.
	takeoverKilled = 25 * time.Second
	takeoverAsked  = 6 * time.Second

	// streamPace is the time between two Jobs of a stream, mostUnfinished how many of
	// them may be unfinished when one more begins. A small machine carries no more.
	streamPace     = time.Second
	mostUnfinished = 20
)

// replaced: whatever becomes of the one that handles Jobs, another takes over,
// and of the Jobs that finish meanwhile none is lost and nothing is doubled.
func replaced(s *story) {
	s.optedIn()
	jobs := s.stream()
	for _, fate := range []struct {
		name string
		meet func(leader *corev1.Pod)
		// within is how soon another one leads; 0 is for what has no promise.
		within time.Duration
	}{
		{"killed", func(leader *corev1.Pod) { s.Expect(signal(leader, syscall.SIGKILL)).To(Succeed()) }, takeoverKilled},
		{"asked to end", func(leader *corev1.Pod) { s.Expect(signal(leader, syscall.SIGTERM)).To(Succeed()) }, takeoverAsked},
		{"evicted", s.evict, 0},
		{"updated", func(*corev1.Pod) { s.update() }, 0},
	} {
		s.allReady()
		leader, identity := s.leader()
		began := time.Now()
		fate.meet(leader)
		s.eventually(func(g Gomega) {
			g.Expect(s.lease(g)).NotTo(Or(BeEmpty(), Equal(identity)))
		})
		took := time.Since(began)
		s.w.say("leader %s: another one after %s", fate.name, took.Round(100*time.Millisecond))
		if fate.within > 0 {
			s.Expect(took).To(BeNumerically("<=", fate.within), "takeover after the leader was %s", fate.name)
		}
	}
	s.allReady()
	s.settled(jobs())
}

// stream creates Jobs, some of which fail, until the function that it returns
// is called; that returns them.
func (s *story) stream() func() []*batchv1.Job {
	ctx, stop := context.WithCancel(s.ctx())
	var jobs []*batchv1.Job
	var failed error
	var creating sync.WaitGroup
	creating.Go(func() {
		ticker := time.NewTicker(streamPace)
		defer ticker.Stop()
		for failed == nil {
			if i := len(jobs); s.carried() {
				job := s.job(fmt.Sprintf("job-%d", i), fmt.Sprintf("echo line of job-%d; exit %d", i, exitCode(i))).Obj()
				if failed = s.w.client.Create(context.WithoutCancel(ctx), job); failed == nil {
					jobs = append(jobs, job)
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return func() []*batchv1.Job {
		stop()
		creating.Wait()
		s.Expect(failed).NotTo(HaveOccurred(), "creating Jobs")
		return jobs
	}
}

// carried reports whether the machine keeps up with the Jobs of the namespace. One that
// does not would be ever slower.
func (s *story) carried() bool {
	var all batchv1.JobList
	// A list that fails says nothing about the machine: a Job that cannot be created says more.
	_ = s.w.client.List(s.ctx(), &all, client.InNamespace(s.namespace))
	unfinished := 0
	for i := range all.Items {
		if !ended(&all.Items[i]) {
			unfinished++
		}
	}
	return unfinished < mostUnfinished
}

// exitCode is that of the nth Job of a stream: every tenth fails, since its pod
// stays and a node has room for some.
func exitCode(n int) int {
	if n%10 == 9 {
		return 3
	}
	return 0
}

// settled wants every Job of a stream to have its results and its Event, once, and
// nothing else in the namespace but the results of so many others.
func (s *story) settled(jobs []*batchv1.Job, others ...*batchv1.Job) {
	s.t.Helper()
	s.w.say("%d Jobs finished meanwhile", len(jobs))
	s.Expect(len(jobs)).To(BeNumerically(">", 20))
	for i, job := range jobs {
		told := corev1.EventTypeNormal
		if exitCode(i) == 0 {
			s.gone(job)
		} else {
			s.reported(job)
			told = corev1.EventTypeWarning
		}
		r := s.stored(job)
		s.complete(r)
		s.Expect(r.texts()).To(HaveExactElements("line of " + job.Name + "\n"))
		s.Expect(s.told(job, told)).To(HaveLen(1), "Events of %s", job.Name)
	}
	s.Expect(s.storedHere(s)).To(HaveLen(len(jobs) + len(others)))
}

// storedHere returns all results of the namespace.
func (s *story) storedHere(g Gomega) []corev1.ConfigMap {
	s.t.Helper()
	var objects corev1.ConfigMapList
	g.Expect(s.w.client.List(s.ctx(), &objects, client.InNamespace(s.namespace), client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	return objects.Items
}

// allReady waits until all replicas are there and ready, and no other pod of
// the manager.
func (s *story) allReady() {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		pods, err := s.w.manager.pods(s.ctx())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pods).To(HaveLen(replicas))
		for i := range pods {
			g.Expect(pods[i].Status.Conditions).To(ContainElement(And(
				HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))))
		}
	})
}

// lease returns who holds the lease of the one that handles Jobs.
func (s *story) lease(g Gomega) string {
	lease := &coordinationv1.Lease{}
	g.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName}, lease)).To(Succeed())
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// leader returns the pod that handles Jobs, and its name in the lease.
func (s *story) leader() (*corev1.Pod, string) {
	s.t.Helper()
	var identity string
	pod := &corev1.Pod{}
	s.eventually(func(g Gomega) {
		identity = s.lease(g)
		name, _, _ := strings.Cut(identity, "_")
		g.Expect(name).NotTo(BeEmpty())
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: name}, pod)).To(Succeed())
	})
	return pod, identity
}

// evict has the pod leave as a drained node would.
func (s *story) evict(pod *corev1.Pod) {
	s.t.Helper()
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	s.Expect(s.w.client.SubResource("eviction").Create(s.ctx(), pod, eviction)).To(Succeed())
}

// update replaces all replicas, one after the other.
func (s *story) update() {
	s.t.Helper()
	s.Expect(within(s.ctx(), func(ctx context.Context) error {
		return s.w.manager.deploy(ctx, s.w.manager.objects, "--restart")
	})).To(Succeed())
}
