package job_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

// ran is how long every finished Job ran. It ended just now.
const ran = 90 * time.Second

// stamped returns the Job as admission would have stamped it.
func stamped(builder *jobtest.JobBuilder) *batchv1.Job {
	object := builder.Obj()
	policy.Stamp(object, ttlFloor, true, policy.LeftAlone{})
	return object
}

// create creates the Job and returns what the server made of it.
func create(ctx context.Context, object *batchv1.Job) *batchv1.Job {
	GinkgoHelper()
	object = object.DeepCopy()
	Expect(kube.Create(ctx, object)).To(Succeed())
	return object
}

// running returns a Job that was stamped at admission, has started and has a
// pod that runs.
func running(ctx context.Context, builder *jobtest.JobBuilder) *batchv1.Job {
	GinkgoHelper()
	object := create(ctx, stamped(builder))
	start(ctx, object)
	return object
}

// completed returns a stamped Job whose one pod ended well.
func completed(ctx context.Context, builder *jobtest.JobBuilder) *batchv1.Job {
	GinkgoHelper()
	object := running(ctx, builder)
	addPod(ctx, object, ended(0))
	complete(ctx, object, 1)
	return object
}

// failed returns a stamped Job whose one pod failed.
func failed(ctx context.Context, builder *jobtest.JobBuilder) *batchv1.Job {
	GinkgoHelper()
	object := running(ctx, builder)
	addPod(ctx, object, ended(1))
	fail(ctx, object, 1)
	return object
}

// aJob returns the builder of a Job in the spec's namespace.
func aJob() *jobtest.JobBuilder { return aJobCalled("job") }

func aJobCalled(name string) *jobtest.JobBuilder { return jobtest.MakeJob(namespace, name) }

// aJobThatGoes returns a stamped Job that is deleted when it is stored.
func aJobThatGoes() *batchv1.Job { return stamped(aJob()) }

func start(ctx context.Context, object *batchv1.Job) {
	GinkgoHelper()
	started := metav1.NewTime(time.Now().Add(-ran).Truncate(time.Second))
	object.Status.StartTime = &started
	object.Status.Active = 1
	object.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	Expect(kube.Status().Update(ctx, object)).To(Succeed())
}

// complete ends the Job with so many pods succeeded.
func complete(ctx context.Context, object *batchv1.Job, succeeded int32) {
	GinkgoHelper()
	end := metav1.NewTime(object.Status.StartTime.Add(ran))
	object.Status.Active, object.Status.Succeeded = 0, succeeded
	object.Status.CompletionTime = &end
	const message = "Reached expected number of succeeded pods"
	object.Status.Conditions = append(object.Status.Conditions, ending(batchv1.JobComplete, end, batchv1.JobReasonCompletionsReached, message)...)
	Expect(kube.Status().Update(ctx, object)).To(Succeed())
}

// fail ends the Job with so many pods failed.
func fail(ctx context.Context, object *batchv1.Job, failed int32) {
	GinkgoHelper()
	end := metav1.NewTime(object.Status.StartTime.Add(ran))
	object.Status.Active, object.Status.Failed = 0, failed
	const message = "Job has reached the specified backoff limit"
	object.Status.Conditions = append(object.Status.Conditions, ending(batchv1.JobFailed, end, batchv1.JobReasonBackoffLimitExceeded, message)...)
	Expect(kube.Status().Update(ctx, object)).To(Succeed())
}

// ending returns the conditions of a Job that ends with this one.
func ending(kind batchv1.JobConditionType, at metav1.Time, reason, message string) []batchv1.JobCondition {
	var conditions []batchv1.JobCondition
	for _, each := range versions.Ending(kind) {
		conditions = append(conditions, condition(each, at, reason, message))
	}
	return conditions
}

func condition(kind batchv1.JobConditionType, at metav1.Time, reason, message string) batchv1.JobCondition {
	return batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		LastProbeTime: at, LastTransitionTime: at,
	}
}

// addPod creates a pod as the Job controller makes it from the Job's template,
// and then sets its status. Changes are applied before that.
func addPod(ctx context.Context, owner *batchv1.Job, change ...func(*corev1.Pod)) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: *owner.Spec.Template.ObjectMeta.DeepCopy(), Spec: *owner.Spec.Template.Spec.DeepCopy()}
	pod.Namespace = owner.Namespace
	pod.GenerateName = fmt.Sprintf("%.50s-", owner.Name)
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, batchv1.SchemeGroupVersion.WithKind("Job"))}
	for _, f := range change {
		f(pod)
	}
	status := pod.Status
	Expect(kube.Create(ctx, pod)).To(Succeed())
	pod.Status = status
	Expect(kube.Status().Update(ctx, pod)).To(Succeed())
	return pod
}

// ended has every container end with this exit code.
func ended(exitCode int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodSucceeded
		if exitCode != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		now := time.Now().Truncate(time.Second)
		for _, container := range pod.Spec.Containers {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: container.Name, Image: container.Image, ImageID: "sha256:abc",
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: exitCode, Reason: "Ended",
					StartedAt: metav1.NewTime(now.Add(-ran)), FinishedAt: metav1.NewTime(now),
				}},
			})
		}
	}
}

// named gives the pod a name.
func named(name string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Name, pod.GenerateName = name, "" }
}

// unlabelled takes the stamp away: the pod of a Job that admission missed.
func unlabelled(pod *corev1.Pod) { delete(pod.Labels, api.EnabledLabel) }

// read returns the Job as it is, and fails if it is gone.
func read(ctx context.Context, object *batchv1.Job) *batchv1.Job {
	GinkgoHelper()
	now := &batchv1.Job{}
	Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
	return now
}

// change changes the Job's metadata or spec as a user would.
func change(ctx context.Context, object *batchv1.Job, f func(*batchv1.Job)) *batchv1.Job {
	GinkgoHelper()
	now := read(ctx, object)
	from := now.DeepCopy()
	f(now)
	Expect(kube.Patch(ctx, now, client.MergeFrom(from))).To(Succeed())
	return now
}

// annotate sets one annotation of the Job.
func annotate(ctx context.Context, object *batchv1.Job, key, value string) *batchv1.Job {
	GinkgoHelper()
	return change(ctx, object, func(j *batchv1.Job) { metav1.SetMetaDataAnnotation(&j.ObjectMeta, key, value) })
}

// expectGone expects that the object is not there any more.
func expectGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	err := kube.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object))
	Expect(err).To(Satisfy(apierrors.IsNotFound), "%s should be gone", object.GetName())
}

// resultsIn returns the results objects of the spec's namespace by name.
func resultsIn(ctx context.Context) []corev1.ConfigMap {
	GinkgoHelper()
	return slices.DeleteFunc(created(ctx), func(cm corev1.ConfigMap) bool {
		return cm.Labels[api.PartLabel] != "" || cm.Labels[api.CaptureOfLabel] != ""
	})
}

// capturesIn returns the ConfigMaps of the spec's namespace that keep captures.
func capturesIn(ctx context.Context) []corev1.ConfigMap {
	GinkgoHelper()
	return slices.DeleteFunc(created(ctx), func(cm corev1.ConfigMap) bool { return cm.Labels[api.CaptureOfLabel] == "" })
}

// created returns the ConfigMaps that Job Handler made in the spec's namespace.
func created(ctx context.Context) []corev1.ConfigMap {
	GinkgoHelper()
	var list corev1.ConfigMapList
	Expect(kube.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(cm corev1.ConfigMap) bool { return cm.Labels[api.CreatedLabel] != api.True })
}

// onlyResults returns the one results object there is in the namespace.
func onlyResults(ctx context.Context) *corev1.ConfigMap {
	GinkgoHelper()
	all := resultsIn(ctx)
	Expect(all).To(HaveLen(1))
	return &all[0]
}

// configMap returns the ConfigMap of this name.
func configMap(ctx context.Context, name string) *corev1.ConfigMap {
	GinkgoHelper()
	object := &corev1.ConfigMap{}
	Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return object
}

// expectStored expects one whole results object of this run, and returns it.
func expectStored(ctx context.Context, object *batchv1.Job) *corev1.ConfigMap {
	GinkgoHelper()
	var found []corev1.ConfigMap
	for _, cm := range resultsIn(ctx) {
		if cm.Labels[api.JobUIDLabel] == string(object.UID) {
			found = append(found, cm)
		}
	}
	Expect(found).To(HaveLen(1))
	Expect(results.Decode(&found[0]).Verify(object, nil)).To(Succeed())
	return &found[0]
}

// recordOf returns the typed content of a results object.
func recordOf(cm *corev1.ConfigMap) results.Record {
	GinkgoHelper()
	var record results.Record
	Expect(json.Unmarshal([]byte(cm.Data[api.DataJobJSON]), &record)).To(Succeed())
	return record
}

// told is what people see of an Event.
type told struct{ Type, Action, Note string }

// eventsOf returns what was told about an object in Events of this type, all
// if "", the first first.
func eventsOf(ctx context.Context, about client.Object, kind string) []told {
	GinkgoHelper()
	var all []told
	for _, e := range rawEventsOf(ctx, about) {
		if kind == "" || e.Type == kind {
			all = append(all, told{e.Type, e.Action, e.Note})
		}
	}
	return all
}

// outcomesOf returns the Events that tell that results are stored.
func outcomesOf(ctx context.Context, about client.Object) []told {
	GinkgoHelper()
	return slices.DeleteFunc(eventsOf(ctx, about, ""), func(t told) bool { return t.Action != api.ActionStore })
}

// warningsOf returns the notes of all Warnings.
func warningsOf(ctx context.Context, about client.Object) []string {
	GinkgoHelper()
	var notes []string
	for _, t := range eventsOf(ctx, about, corev1.EventTypeWarning) {
		notes = append(notes, t.Note)
	}
	return notes
}

func rawEventsOf(ctx context.Context, about client.Object) []eventsv1.Event {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(kube.List(ctx, &list, client.InNamespace(about.GetNamespace()))).To(Succeed())
	found := slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool {
		return e.Regarding.UID != about.GetUID() || e.Reason != api.ReasonJobProcessing
	})
	slices.SortFunc(found, func(a, b eventsv1.Event) int {
		return cmp.Or(a.EventTime.Compare(b.EventTime.Time), cmp.Compare(a.Note, b.Note))
	})
	return found
}

// annotateNamespace sets one annotation of the spec's Namespace.
func annotateNamespace(ctx context.Context, key, value string) {
	GinkgoHelper()
	object := &corev1.Namespace{}
	Expect(kube.Get(ctx, client.ObjectKey{Name: namespace}, object)).To(Succeed())
	from := object.DeepCopy()
	metav1.SetMetaDataAnnotation(&object.ObjectMeta, key, value)
	Expect(kube.Patch(ctx, object, client.MergeFrom(from))).To(Succeed())
}

// disableNamespace takes the opt-in of the spec's Namespace away.
func disableNamespace(ctx context.Context) {
	GinkgoHelper()
	object := &corev1.Namespace{}
	Expect(kube.Get(ctx, client.ObjectKey{Name: namespace}, object)).To(Succeed())
	from := object.DeepCopy()
	delete(object.Labels, api.EnabledLabel)
	Expect(kube.Patch(ctx, object, client.MergeFrom(from))).To(Succeed())
}
