package podlogs

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/results"
)

// captured returns the captures of the run, those in memory and those saved beside the
// Job. The caller must not use the logs after it calls release.
func (k *Keeper) captured(ctx context.Context, run *results.Run, kind string) (all []capture.Captured, release func(), err error) {
	if !k.mayBeSaved(run.Job, kind, run.Objects()) {
		all, release = k.Captures.Of(run.Job.UID)
		return all, release, nil
	}
	restored, err := k.loader().load(ctx, run.Job, kind)
	if err != nil {
		return nil, nil, err
	}
	here, releaseHere := k.Captures.Of(run.Job.UID)
	all, releaseAll := restored.With(here)
	return all, func() {
		releaseHere()
		releaseAll()
		restored.Release()
	}, nil
}

// AddTo adds captured pods that are gone to the run. For pods that still exist it adds
// captured logs that are better than what was read. The caller must not use the logs
// after it calls release.
func (k *Keeper) AddTo(ctx context.Context, run *results.Run, kind string) (release func(), err error) {
	captured, release, err := k.captured(ctx, run, kind)
	if err != nil {
		return nil, err
	}
	withLogs := run.LogMode != api.LogModeStatus
	there := map[types.UID]*results.Pod{}
	for i := range run.Pods {
		there[run.Pods[i].Pod.UID] = &run.Pods[i]
	}
	pods := run.Objects()
	var gone []results.Pod
	for _, c := range captured {
		switch pod := there[c.Pod.UID]; {
		case pod == nil && withLogs:
			gone = append(gone, results.Pod{Pod: c.Pod, Logs: c.Logs(nil)})
		case pod == nil:
			gone = append(gone, results.Pod{Pod: c.Pod})
		case withLogs:
			addLogs(pod, c.Logs(pod.Pod))
		}
	}
	run.Pods = append(run.Pods, gone...)
	for _, c := range captured {
		pods = append(pods, c.Pod)
	}
	lacking := plan.MissingPods(run.Job, pods)
	run.MissingPods, run.PerhapsMissingPods = lacking.Pods, lacking.Perhaps
	return sync.OnceFunc(release), nil
}

// addLogs replaces logs of the pod with captured ones that are better.
func addLogs(pod *results.Pod, captured []results.ContainerLog) {
	for _, log := range captured {
		found := false
		for i := range pod.Logs {
			read := &pod.Logs[i]
			if !sameInstance(read, &log) {
				continue
			}
			if found = true; log.Capture.Reason == results.ReasonNotFollowed {
				noteNotFollowed(read)
			} else {
				*read = results.BetterLog(*read, log)
			}
		}
		if !found {
			pod.Logs = append(pod.Logs, log)
		}
	}
}

// sameInstance reports whether both are logs of one container instance. If the kubelet did
// not tell the instance, the place in the pod's status decides.
func sameInstance(read, captured *results.ContainerLog) bool {
	if read.Container != captured.Container || captured.Earlier != nil {
		return false
	}
	return read.Previous == captured.Previous &&
		(read.InstanceID == captured.InstanceID || read.InstanceID == "" || captured.InstanceID == "")
}

// noteNotFollowed adds to a log that was read that it could not be followed.
func noteNotFollowed(read *results.ContainerLog) {
	if read.Capture.Message == "" {
		read.Capture.Message = capture.NotFollowed
		return
	}
	read.Capture.Message += "; " + capture.NotFollowed
}
