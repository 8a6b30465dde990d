package oracle_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// More flows: what they need happens while they are on their way. TestScenarios
// has a crash at each of their writes, TestMore the rest.
var (
	protectedSuccess = flow{
		name: "success, protected", asked: protected,
		writes: []string{createResults, createEvent, patchJob, deleteJob},
	}
	protectedFailure = flow{
		name: "failure, protected", program: program{exit: 1}, asked: protected,
		writes: []string{createResults, createEvent, patchJob},
	}
	deletedUnstored = flow{
		name: "failure, protected, deleted before it is stored", program: program{exit: 1}, asked: protected,
		early: (*scene).deletedAtItsEnd, goes: true,
		writes: []string{createResults, createEvent, patchJob},
	}
	unseenProtection = flow{
		name: "success, whose protection admission missed", asked: protected, unseen: missedFinalizer,
		writes: []string{patchJob, createResults, createEvent, patchJob, deleteJob},
	}
	unseenJob = flow{
		name: "success that admission missed", unseen: missedAll, early: (*scene).nothing,
		writes: []string{patchJob, createResults, createEvent, patchJob, deleteJob},
	}
	followedSuccess = flow{
		name: "success that is followed", program: program{hold: true}, asked: []func(*batchv1.Job){annotated(api.LogModeAnnotation, api.LogModeFollow)},
		meanwhile: (*scene).endsOnceFollowed,
		writes:    []string{createResults, createEvent, patchJob, deleteJob},
	}
	capturedSuccess = flow{
		name: "success, of which a pod was deleted", program: program{hold: true, retries: 1},
		meanwhile: (*scene).losesAPod, fragile: unseenPod.name,
		writes: []string{createCapture, createResults, createEvent, patchJob, deleteJob},
	}
	capturedFailure = flow{
		name: "failure, of which a pod was deleted", program: program{hold: true, retries: 1, exit: 1},
		meanwhile: (*scene).losesAPod, fragile: unseenFailedPod.name,
		writes: []string{createCapture, createResults, createEvent, patchJob, deleteCapture},
	}
	// unseenPod and unseenFailedPod are what these are without what was captured.
	unseenPod = flow{
		name: "success, of which nobody saw a pod", program: program{hold: true, retries: 1}, early: (*scene).lostAPod,
		writes: []string{createResults, createEvent, createEvent, patchJob, deleteJob},
	}
	unseenFailedPod = flow{
		name: "failure, of which nobody saw a pod", program: program{hold: true, retries: 1, exit: 1}, early: (*scene).lostAPod,
		writes: []string{createResults, createEvent, createEvent, patchJob},
	}
	malformedSuccess = flow{
		name: "success with malformed annotations", program: program{hold: true}, asked: malformed, meanwhile: (*scene).endsOnceWarned,
		warned: []string{"Warning Invalid annotations are ignored and the defaults used"},
		writes: []string{createEvent, createResults, createEvent, patchJob, deleteJob},
	}
	forgedFailure = flow{
		name: "failure with a forged status, seen running", program: program{hold: true, exit: 1}, asked: forged,
		meanwhile: (*scene).endsOnceStripped,
		writes:    []string{patchJob, createResults, createEvent, patchJob},
	}
	forgedSuccess = flow{
		name: "success with a forged status, seen finished", asked: forged, early: (*scene).finishes, untold: true,
		writes: []string{createResults, createEvent, patchJob, deleteJob},
	}
)

var (
	moreFlows = []flow{
		protectedSuccess, protectedFailure, deletedUnstored, unseenProtection, unseenJob, followedSuccess,
		capturedSuccess, capturedFailure, malformedSuccess, forgedFailure, forgedSuccess,
	}
	lossyFlows = []flow{unseenPod, unseenFailedPod}
)

var (
	protected = []func(*batchv1.Job){annotated(api.ProtectAnnotation, api.True)}
	forged    = []func(*batchv1.Job){
		annotated(api.StatusAnnotation, api.StatusCompleted), annotated(api.CaptureAnnotation, api.CaptureComplete),
	}
	malformed = []func(*batchv1.Job){
		annotated(api.ResultsNameAnnotation, "../kube-root-ca.crt"),
		annotated(api.LogModeAnnotation, "FULL"),
		annotated(api.ResultsKindAnnotation, "Deployment"),
		annotated(api.ResultsTTLAnnotation, "99999999999999999999d"),
		annotated(api.DeleteAfterSuccessAnnotation, "soon"),
		annotated(api.DeleteAfterFailureAnnotation, "-1h"),
		annotated(api.ProtectAnnotation, "yes\x1b[2J"),
		annotated(api.PropagateLabelsAnnotation, "job-handler/created,,\n"),
		annotated(api.TTLAnnotation, "NaN"),
	}
)

// nothing happens to the Job, but that it is there before a manager is.
func (s *scene) nothing(*batchv1.Job) error { return nil }

// finishes waits until the Job has finished.
func (s *scene) finishes(run *batchv1.Job) error {
	return s.eventually(func() (bool, error) {
		now, err := s.find(run)
		return finished(now), err
	})
}

// deletedAtItsEnd has a user delete the Job when it has finished.
func (s *scene) deletedAtItsEnd(run *batchv1.Job) error {
	if err := s.finishes(run); err != nil {
		return err
	}
	return s.deleteRun(run)
}

// deleteRun deletes a Job as kubectl does, without waiting.
func (s *scene) deleteRun(run *batchv1.Job) error {
	return s.Delete(s.anytime(), run, client.Preconditions{UID: &run.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
}

// endsOnceFollowed has the Job run until its log is followed.
func (s *scene) endsOnceFollowed(run *batchv1.Job) error {
	err := s.eventually(func() (bool, error) {
		pods := s.kubelet.of(run.UID)
		return len(pods) > 0 && given(pods[0].isFollowed), nil
	})
	s.kubelet.end(s.anytime(), run.UID)
	return err
}

func given(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// endsOnceWarned has the Job run until somebody is warned of it.
func (s *scene) endsOnceWarned(run *batchv1.Job) error {
	err := s.eventually(func() (bool, error) {
		_, warnings, err := s.told(s.anytime(), run, s.hider(run))
		return len(warnings) > 0, err
	})
	s.kubelet.end(s.anytime(), run.UID)
	return err
}

// endsOnceStripped has the Job run until it has no status any more.
func (s *scene) endsOnceStripped(run *batchv1.Job) error {
	err := s.eventually(func() (bool, error) {
		now, err := s.find(run)
		return now != nil && now.Annotations[api.StatusAnnotation] == "", err
	})
	s.kubelet.end(s.anytime(), run.UID)
	return err
}

// losesAPod has a user delete the Job's pod at work. The next one ends once what
// was captured of it is stored beside the Job, or lost with a process.
func (s *scene) losesAPod(run *batchv1.Job) error {
	died := s.deaths()
	err := s.deletePod(run)
	if err == nil {
		err = s.eventually(func() (bool, error) {
			captures, err := s.capturesOf(s.anytime(), run)
			if err != nil || captures > 0 || s.deaths() > died || s.foundCapture(run) {
				return err == nil, err
			}
			// With the Job all of it goes.
			now, err := s.find(run)
			return now == nil && err == nil, err
		})
	}
	s.kubelet.end(s.anytime(), run.UID)
	return err
}

// foundCapture reports whether a process was answered that there is something of
// the name already under which it would store what was captured.
func (s *scene) foundCapture(run *batchv1.Job) bool {
	for _, p := range s.started() {
		for _, a := range p.of(createCapture) {
			if a.code == http.StatusConflict && strings.HasPrefix(a.name, run.Name+"-capture-"+string(run.UID)) {
				return true
			}
		}
	}
	return false
}

// lostAPod is losesAPod while there is no manager.
func (s *scene) lostAPod(run *batchv1.Job) error {
	if err := s.deletePod(run); err != nil {
		return err
	}
	err := s.eventually(func() (bool, error) {
		var pods corev1.PodList
		err := s.List(s.anytime(), &pods, client.InNamespace(run.Namespace))
		return !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool {
			return metav1.IsControlledBy(&p, run) && p.DeletionTimestamp != nil
		}), err
	})
	s.kubelet.end(s.anytime(), run.UID)
	return err
}

// deaths returns how many processes of the scene have died.
func (s *scene) deaths() int {
	n := 0
	for _, p := range s.started() {
		if p.died() {
			n++
		}
	}
	return n
}

// deletePod deletes the pod of a Job once it runs.
func (s *scene) deletePod(run *batchv1.Job) error {
	err := s.eventually(func() (bool, error) {
		var pods corev1.PodList
		if err := s.List(s.anytime(), &pods, client.InNamespace(run.Namespace)); err != nil {
			return false, err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if metav1.IsControlledBy(pod, run) && pod.Status.Phase == corev1.PodRunning {
				return true, s.Delete(s.anytime(), pod)
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("deleting a pod of %s: %w", run.Name, err)
	}
	return nil
}

// find returns a run's Job as it is, nil if it is gone.
func (s *scene) find(run *batchv1.Job) (*batchv1.Job, error) {
	now := &batchv1.Job{}
	err := s.Get(s.anytime(), client.ObjectKeyFromObject(run), now)
	if err != nil || now.UID != run.UID {
		return nil, client.IgnoreNotFound(err)
	}
	return now, nil
}
