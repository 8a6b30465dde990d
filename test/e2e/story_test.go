package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const (
	// longest is for how long a wait of a story goes on while nothing happens that
	// it might wait for. CronJobs take a minute to begin.
	longest = 4 * time.Minute
	// rounds is how often a wait goes on for so long, if something happened.
	rounds = 4
	// quiet is for how long something that should not happen is watched for.
	quiet = 5 * time.Second
	poll  = 500 * time.Millisecond
)

// story is one of them, with a namespace of its own.
type story struct {
	t *testing.T
	*WithT
	w *world
	// namespace is where it takes place; plain or optedIn makes it.
	namespace string
	// others are further namespaces, to be looked at if it fails.
	others []string
}

func newStory(t *testing.T, w *world, namespace string) *story {
	s := &story{t: t, WithT: NewWithT(t), w: w, namespace: namespace}
	t.Cleanup(func() {
		if t.Failed() {
			s.explain()
		}
	})
	return s
}

func (s *story) ctx() context.Context { return s.t.Context() }

// optedIn makes the namespace, opted in.
func (s *story) optedIn() {
	s.t.Helper()
	s.create(jobtest.MakeNamespace(s.namespace).Label(api.EnabledLabel, api.True).Obj())
}

// plain makes the namespace, not opted in.
func (s *story) plain() {
	s.t.Helper()
	s.create(jobtest.MakeNamespace(s.namespace).Obj())
}

// job returns the builder of a Job that runs a script.
func (s *story) job(name, script string) *jobtest.JobBuilder {
	return jobtest.MakeJob(s.namespace, name).Script(script).BackoffLimit(0)
}

// folder is a folder of the node.
func (s *story) folder(name string) string {
	return filepath.Join(s.w.dir, "node", s.namespace, name)
}

// create creates the object as it is; it has a UID then.
func (s *story) create(object client.Object) {
	s.t.Helper()
	s.Expect(s.w.client.Create(s.ctx(), object)).To(Succeed())
}

// start creates the Job that b builds and returns it as the server has it.
func (s *story) start(b *jobtest.JobBuilder) *batchv1.Job {
	s.t.Helper()
	job := b.Obj()
	s.create(job)
	return job
}

// change applies what edit changes in the object.
func (s *story) change(object client.Object, edit func()) {
	s.t.Helper()
	patch := client.MergeFrom(object.DeepCopyObject().(client.Object))
	edit()
	s.Expect(s.w.client.Patch(s.ctx(), object, patch)).To(Succeed())
}

// refresh reads the object again.
func (s *story) refresh(object client.Object) {
	s.t.Helper()
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(object), object)).To(Succeed())
}

// eventually waits until check succeeds. It gives up when nothing happens any more
// in the story's namespaces: how long something takes depends on the machine.
func (s *story) eventually(check func(g Gomega)) {
	s.t.Helper()
	var failure string
	g := NewGomega(func(message string, _ ...int) { failure = message })
	for range rounds {
		before := s.state()
		if g.Eventually(check).WithContext(s.ctx()).WithTimeout(longest).WithPolling(poll).Should(Succeed()) {
			return
		}
		if s.state() == before || s.ctx().Err() != nil {
			break
		}
	}
	s.t.Fatal(failure)
}

// state returns what changes whenever something happens to Jobs, their pods and
// results in the story's namespaces.
func (s *story) state() string {
	var state strings.Builder
	for _, namespace := range append([]string{s.namespace}, s.others...) {
		for _, list := range []client.ObjectList{&batchv1.JobList{}, &corev1.PodList{}, &corev1.ConfigMapList{}} {
			// A list that fails is one state too.
			_ = s.w.client.List(s.ctx(), list, client.InNamespace(namespace))
			_ = meta.EachListItem(list, func(object runtime.Object) error {
				found, err := meta.Accessor(object)
				if err == nil {
					fmt.Fprintf(&state, "%s %s\n", found.GetUID(), found.GetResourceVersion())
				}
				return err
			})
		}
	}
	return state.String()
}

// always wants check to succeed all the time.
func (s *story) always(duration time.Duration, check func(g Gomega)) {
	s.t.Helper()
	s.Consistently(check).WithContext(s.ctx()).WithTimeout(duration).WithPolling(poll).Should(Succeed())
}

// now returns the Job as it is now, by g's leave.
func (s *story) now(g Gomega, job *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	current := &batchv1.Job{}
	g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(job), current)).To(Succeed())
	g.Expect(current.UID).To(Equal(job.UID), "another Job has the name")
	return current
}

// reported waits until the manager says on the Job that its results are stored.
func (s *story) reported(job *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	var current *batchv1.Job
	s.eventually(func(g Gomega) {
		current = s.now(g, job)
		g.Expect(current.Annotations).To(HaveKey(api.StatusAnnotation))
	})
	return current
}

// finished waits until the Job has ended, well or badly.
func (s *story) finished(job *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	var current *batchv1.Job
	s.eventually(func(g Gomega) {
		current = s.now(g, job)
		g.Expect(ended(current)).To(BeTrue())
	})
	return current
}

func ended(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		terminal := condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed
		if terminal && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// running waits until so many of the Job's pods run.
func (s *story) running(job *batchv1.Job, pods int32) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		ready := s.now(g, job).Status.Ready
		g.Expect(ready).To(HaveValue(Equal(pods)))
	})
}

// gone waits until the Job is not there any more.
func (s *story) gone(job *batchv1.Job) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		current := &batchv1.Job{}
		err := s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(job), current)
		if err == nil && current.UID != job.UID {
			return
		}
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "job %s is there still: %v", job.Name, err)
	})
}

// kept wants the Job to stay.
func (s *story) kept(job *batchv1.Job) {
	s.t.Helper()
	s.always(quiet, func(g Gomega) {
		g.Expect(s.now(g, job).DeletionTimestamp).To(BeNil())
	})
}

// pods returns the Job's pods.
func (s *story) pods(g Gomega, job *batchv1.Job) []corev1.Pod {
	var all corev1.PodList
	g.Expect(s.w.client.List(s.ctx(), &all, client.InNamespace(job.Namespace))).To(Succeed())
	var pods []corev1.Pod
	for _, pod := range all.Items {
		if owner := metav1.GetControllerOfNoCopy(&pod); owner != nil && owner.UID == job.UID {
			pods = append(pods, pod)
		}
	}
	return pods
}

// podsGone waits until no pod of the Job is left.
func (s *story) podsGone(job *batchv1.Job) {
	s.t.Helper()
	s.eventually(func(g Gomega) { g.Expect(s.pods(g, job)).To(BeEmpty()) })
}

// told returns what Job Handler said about the object in Events of this type.
func (s *story) told(about client.Object, eventType string) []string {
	s.t.Helper()
	var list eventsv1.EventList
	s.Expect(s.w.client.List(s.ctx(), &list, client.InNamespace(about.GetNamespace()))).To(Succeed())
	var notes []string
	for _, event := range list.Items {
		ours := event.Reason == api.ReasonJobProcessing && event.ReportingController == api.ManagerName
		if ours && event.Regarding.UID == about.GetUID() && event.Type == eventType {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

// kubectl runs kubectl in the namespace and returns what it printed.
func (s *story) kubectl(ctx context.Context, args ...string) (string, error) {
	flags := []string{"--kubeconfig", s.w.cluster.Kubeconfig(), "--namespace", s.namespace}
	output, err := exec.CommandContext(ctx, s.w.cluster.Kubectl(), append(flags, args...)...).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// jobResults runs kubectl job-results in the namespace and returns what it printed.
func (s *story) jobResults(namespace string, args ...string) string {
	s.t.Helper()
	flags := []string{"--kubeconfig", s.w.cluster.Kubeconfig(), "--namespace", namespace}
	output, err := exec.CommandContext(s.ctx(), s.w.plugin, append(args, flags...)...).CombinedOutput()
	s.Expect(err).NotTo(HaveOccurred(), "kubectl job-results %v: %s", args, output)
	return string(output)
}

// told is a story by its name.
type told struct {
	name string
	tell func(*story)
}

// tell tells stories of which each begins where the one before it ended, until one
// fails.
func (w *world) tell(t *testing.T, stories []told) {
	for _, each := range stories {
		if !t.Run(each.name, func(t *testing.T) { each.tell(newStory(t, w, each.name)) }) {
			return
		}
	}
}
