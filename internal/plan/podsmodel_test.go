package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// ignoredExit is the exit code that the model's podFailurePolicy ignores.
const ignoredExit = 42

// jobModel is the part of the Job controller that counts pods: see syncJob and
// trackJobStatusAndRemoveFinalizers in k8s.io/kubernetes/pkg/controller/job.
type jobModel struct {
	t    *rapid.T
	job  *batchv1.Job
	pods []*podModel
	// plain is true while nothing happened after which it cannot be told of a pod
	// whether it was counted.
	plain bool
}

// podModel is a pod, and what the controller made of it.
type podModel struct {
	now *corev1.Pod
	// states are all in which it was to be seen, the last one last.
	states []*corev1.Pod
	// counted is what the status counts it as: "", "succeeded" or "failed".
	counted string
}

func newJobModel(t *rapid.T) *jobModel {
	m := &jobModel{t: t, job: makeJob().Obj(), plain: true}
	m.job.Generation = 1
	spec := &m.job.Spec
	spec.Completions = new(int32(rapid.IntRange(1, 4).Draw(t, "completions")))
	if rapid.Bool().Draw(t, "indexed") {
		spec.CompletionMode = new(batchv1.IndexedCompletion)
		if rapid.Bool().Draw(t, "backoffLimitPerIndex") {
			spec.BackoffLimitPerIndex = new(int32(0))
			m.job.Status.FailedIndexes = new("")
		}
	}
	if rapid.Bool().Draw(t, "podReplacementPolicy") {
		spec.PodReplacementPolicy = new(batchv1.Failed)
	}
	if rapid.Bool().Draw(t, "podFailurePolicy") {
		spec.PodReplacementPolicy = new(batchv1.Failed)
		spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rapid.Permutation([]batchv1.PodFailurePolicyRule{
			onExit(batchv1.PodFailurePolicyActionIgnore, ignoredExit), onExit(batchv1.PodFailurePolicyActionCount, 1),
			onCondition(batchv1.PodFailurePolicyActionIgnore, corev1.DisruptionTarget),
		}).Draw(t, "rules")}
	}
	return m
}

func onExit(action batchv1.PodFailurePolicyAction, code int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code},
	}}
}

func onCondition(action batchv1.PodFailurePolicyAction, kind corev1.PodConditionType) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
		{Type: kind, Status: corev1.ConditionTrue},
	}}
}

func (m *jobModel) indexed() bool { return m.job.Spec.CompletionMode != nil }

func (p *podModel) ended() bool {
	return p.now.Status.Phase == corev1.PodSucceeded || p.now.Status.Phase == corev1.PodFailed
}

func (p *podModel) tracked() bool { return len(p.now.Finalizers) > 0 }

func (p *podModel) leaving() bool { return p.now.DeletionTimestamp != nil }

func (p *podModel) active() bool { return !p.ended() && !p.leaving() }

func (p *podModel) index() int {
	index, _ := indexOf(p.now)
	return index
}

func (p *podModel) change(f func(*corev1.Pod)) {
	p.now = p.now.DeepCopy()
	f(p.now)
	p.states = append(p.states, p.now)
}

// create makes a pod, for the first index that wants one.
func (m *jobModel) create() {
	index := 0
	for m.indexed() && slices.ContainsFunc(m.pods, func(p *podModel) bool {
		return p.index() == index && (p.active() || p.tracked() || p.counted == "succeeded" || m.failedFor(index))
	}) {
		index++
	}
	if m.indexed() && index >= int(*m.job.Spec.Completions) {
		return
	}
	p := &podModel{now: &corev1.Pod{}}
	m.pods = append(m.pods, p)
	p.change(func(pod *corev1.Pod) {
		pod.UID = types.UID("pod-" + strconv.Itoa(len(m.pods)))
		pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
		pod.Status.Phase = corev1.PodRunning
		if m.indexed() {
			pod.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: strconv.Itoa(index)}
		}
	})
}

func (m *jobModel) failedFor(index int) bool {
	return m.job.Status.FailedIndexes != nil && parseIndexes(*m.job.Status.FailedIndexes).has(index)
}

// end ends a pod in one of the ways in which pods end.
func (p *podModel) end(exit int32, disrupted bool) {
	if p.ended() {
		return
	}
	p.change(func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodSucceeded
		if exit != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		if disrupted {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit}},
		}}
	})
}

func (p *podModel) delete() {
	if !p.leaving() {
		p.change(func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: finished} })
	}
}

// drop deletes an active pod without counting it.
func (m *jobModel) drop(p *podModel) {
	if p.active() {
		m.plain = false
		p.change(func(pod *corev1.Pod) { pod.Finalizers = nil })
		p.states = p.states[:len(p.states)-1] // no time passes between the two
		p.delete()
	}
}

// count has the controller look at a pod. With failing, the Job is about to fail.
func (m *jobModel) count(p *podModel, failing bool) {
	policy := m.job.Spec.PodReplacementPolicy
	failed := p.now.Status.Phase == corev1.PodFailed || p.leaving() && policy == nil || failing
	if !p.tracked() || p.now.Status.Phase != corev1.PodSucceeded && !failed {
		return
	}
	inRange := !m.indexed() || p.index() < int(*m.job.Spec.Completions)
	switch {
	case !inRange:
	case p.now.Status.Phase == corev1.PodSucceeded:
		p.counted = "succeeded"
	case m.ignores(p.now):
	default:
		p.counted = "failed"
		if m.job.Status.FailedIndexes != nil && !m.failedFor(p.index()) {
			m.job.Status.FailedIndexes = new(withIndex(*m.job.Status.FailedIndexes, p.index()))
		}
	}
	p.change(func(pod *corev1.Pod) { pod.Finalizers = nil })
}

// ignores is matchPodFailurePolicy of the Job controller.
func (m *jobModel) ignores(pod *corev1.Pod) bool {
	if m.job.Spec.PodFailurePolicy == nil {
		return false
	}
	for _, rule := range m.job.Spec.PodFailurePolicy.Rules {
		matched := rule.OnExitCodes == nil && len(pod.Status.Conditions) > 0
		for _, status := range pod.Status.ContainerStatuses {
			matched = matched || rule.OnExitCodes != nil && slices.Contains(rule.OnExitCodes.Values, status.State.Terminated.ExitCode)
		}
		if matched {
			return rule.Action == batchv1.PodFailurePolicyActionIgnore
		}
	}
	return false
}

func withIndex(list string, index int) string {
	all := []int{index}
	for text := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(text); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(slices.Compact(all))), ","), "[]")
}

// lower takes indexes away that are done or not.
func (m *jobModel) lower() {
	if !m.indexed() || *m.job.Spec.Completions == 1 {
		return
	}
	m.plain = false
	m.job.Generation++
	*m.job.Spec.Completions--
	for _, p := range m.pods {
		if p.index() < int(*m.job.Spec.Completions) {
			continue
		}
		m.drop(p)
		if p.counted == "succeeded" {
			p.counted = ""
		}
	}
}

func (m *jobModel) step() {
	one := func(f func(*podModel)) {
		if len(m.pods) > 0 {
			f(rapid.SampledFrom(m.pods).Draw(m.t, "pod"))
		}
	}
	switch rapid.SampledFrom([]string{
		"create", "create", "end", "end", "count", "count", "delete", "suspend", "drop", "lower", "touch",
	}).Draw(m.t, "step") {
	case "create":
		m.create()
	case "end":
		one(func(p *podModel) {
			p.end(rapid.SampledFrom([]int32{0, 0, 1, 7, ignoredExit}).Draw(m.t, "exit code"), rapid.Bool().Draw(m.t, "disrupted"))
		})
	case "count":
		one(func(p *podModel) { m.count(p, false) })
	case "delete":
		one((*podModel).delete)
	case "suspend":
		m.job.Generation++
		for _, p := range m.pods {
			m.drop(p)
		}
	case "drop":
		m.job.Generation++
		one(m.drop)
	case "lower":
		m.lower()
	case "touch":
		m.job.Generation++
	}
}

// finish ends the Job in one of the ways in which Jobs end.
func (m *jobModel) finish() {
	how := rapid.SampledFrom([]string{batchv1.JobReasonCompletionsReached, batchv1.JobReasonSuccessPolicy, batchv1.JobReasonDeadlineExceeded}).Draw(m.t, "end")
	kind := batchv1.JobComplete
	for _, p := range m.pods {
		m.plain = m.plain && (how != batchv1.JobReasonSuccessPolicy || !p.leaving())
		switch {
		case how == batchv1.JobReasonDeadlineExceeded:
			kind = batchv1.JobFailed
			if p.active() {
				p.delete()
			}
			m.count(p, true)
		case how == batchv1.JobReasonSuccessPolicy && p.active():
			m.plain = false
			p.delete()
			if rapid.Bool().Draw(m.t, "not counted") {
				p.change(func(pod *corev1.Pod) { pod.Finalizers = nil })
			}
		default:
			p.end(0, false)
		}
		m.count(p, false)
		if !p.ended() && rapid.Bool().Draw(m.t, "ends") {
			p.end(rapid.SampledFrom([]int32{0, 1, ignoredExit}).Draw(m.t, "last exit code"), false)
		}
		m.count(p, p.tracked())
	}
	m.job.Status.Conditions = []batchv1.JobCondition{{
		Type: kind, Status: corev1.ConditionTrue, Reason: how, LastTransitionTime: metav1.NewTime(finished),
	}}
	var done []int
	for _, p := range m.pods {
		switch p.counted {
		case "succeeded":
			m.job.Status.Succeeded++
			done = append(done, p.index())
		case "failed":
			m.job.Status.Failed++
		}
	}
	if m.indexed() {
		for _, index := range done {
			m.job.Status.CompletedIndexes = withIndex(m.job.Status.CompletedIndexes, index)
		}
	}
}

func runModel(t *rapid.T) *jobModel {
	m := newJobModel(t)
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		m.step()
	}
	m.finish()
	return m
}

// TestMissingPodsOfAnyJob hides pods, and states of pods, of Jobs that the model ran.
func TestMissingPodsOfAnyJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := runModel(t)
		var known []*corev1.Pod
		hidden := 0
		for _, p := range m.pods {
			states := rapid.SliceOfN(rapid.SampledFrom(p.states), 0, 3).Draw(t, "states seen of "+string(p.now.UID))
			known = append(known, states...)
			if len(states) == 0 && p.counted != "" {
				hidden++
			}
		}
		if got := MissingPods(m.job, known); got.Pods > hidden || got.Pods+got.Perhaps < hidden {
			t.Fatalf("%+v, but %d counted pods are hidden", got, hidden)
		}
	})
}

// TestMissingPodsOfPlainJobs shows all that there was to be seen: nothing may be missing.
func TestMissingPodsOfPlainJobs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := runModel(t)
		var known []*corev1.Pod
		deleted := false
		for _, p := range m.pods {
			known = append(known, p.states...)
			deleted = deleted || p.leaving()
		}
		if !m.plain || deleted && m.job.Spec.PodFailurePolicy != nil {
			t.Skip()
		}
		if got := MissingPods(m.job, known); !got.None() {
			t.Fatalf("%+v of a Job whose pods are all known", got)
		}
	})
}
