package capture

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// newFollowedLog returns a log that is to be followed, with the contexts of that and
// of waiting for its turn among those of running pods.
func newFollowedLog(ctx context.Context, p *pod, log joblogs.Log) (following, turn context.Context, l *followedLog) {
	following, cancel := context.WithCancel(ctx)
	turn, hurry := context.WithCancel(following)
	urgent := make(chan struct{})
	l = &followedLog{
		pod: p, namespace: p.object.Namespace, container: log.Container, instance: log.InstanceID, previous: log.Previous,
		cancel: cancel, hurry: hurry, latest: log, news: make(chan struct{}),
		urgent: urgent, urge: sync.OnceFunc(func() { close(urgent) }), breakOff: func() {},
		lifeOf: lifeOf{restart: results.UnknownRestart},
	}
	if log.Ended {
		l.urge()
	}
	return following, turn, l
}

// take has nothing more be added to the log.
func (l *followedLog) take() {
	if !l.active() {
		return
	}
	l.cancel()
	l.state = done
	if l.parked {
		l.capture.Retryable = true
		return
	}
	l.capture = results.Capture{Reason: results.ReasonStillRunning, Message: "the log was still being followed", Retryable: true}
}

// log returns the log of p that is, or was, followed as log, nil if none is.
func (p *pod) log(log joblogs.Log) *followedLog {
	i := slices.IndexFunc(p.logs, func(l *followedLog) bool {
		return l.is(log)
	})
	if i < 0 {
		return nil
	}
	return p.logs[i]
}

// is reports whether l is of this instance, which becomes the previous one by a
// restart.
func (l *followedLog) is(log joblogs.Log) bool {
	return l.container == log.Container && l.instance == log.InstanceID &&
		(log.InstanceID != "" || l.previous == log.Previous)
}

// mayFallBack reports whether the log waits for its turn, and can be read at the end.
func (l *followedLog) mayFallBack() bool {
	return l.state == waiting && l.queued && !l.pod.leaving() && !l.ofLife
}

func (p *pod) following() bool {
	return slices.ContainsFunc(p.logs, (*followedLog).active)
}

// drop ends what is followed and gives its memory back.
func (p *pod) drop() {
	for _, l := range p.logs {
		l.drop()
	}
}

func (l *followedLog) drop() {
	l.cancel()
	l.state = done
	l.text.drop()
	l.text = nil
}

// presence is what is left of a pod.
type presence int

const (
	// present: it may still tell of its containers.
	present presence = iota
	// final: it is there, and nothing of it runs or changes any more.
	final
	gone
)

func presenceOf(pod *corev1.Pod, isGone bool) presence {
	switch phase := pod.Status.Phase; {
	case isGone:
		return gone
	case phase == corev1.PodSucceeded, phase == corev1.PodFailed:
		return final
	default:
		return present
	}
}

// result returns the log as it is kept, given whether its container is known to
// have ended and what is left of its pod.
func (l *followedLog) result(log joblogs.Log, left presence) results.ContainerLog {
	kept := log.ContainerLog
	if log.Previous {
		// There is a later one.
		log.Ended = true
	}
	if (l.text.seen() > 0 || l.capture.Complete) && !l.text.isReleased() {
		kept.Text, kept.Packed, kept.Redacted = l.text.Text, l.text.Longer(), l.redacted
	}
	kept.Capture = l.judge(log, left, kept.Text == nil)
	if l.text.isReleased() {
		// Nothing of it is at hand, but how much there was.
		kept.Text = l.text.Text
	}
	if left == gone {
		kept.Capture.Retryable = false
	}
	return kept
}

// earlierResult returns the log of an instance of which the pod tells no more.
func (l *followedLog) earlierResult(left presence) results.ContainerLog {
	kept := l.result(joblogs.Log{
		ContainerLog: results.ContainerLog{
			Container: l.container, InstanceID: l.instance, Earlier: &results.Instance{Restart: l.restart, End: l.end},
		},
		Ended: true,
	}, left)
	kept.Capture.Retryable = false
	if kept.Capture == (results.Capture{}) {
		kept.Capture = joblogs.Replaced()
	}
	return kept
}

// judge tells whether what is kept of the log, which may be nothing, is all of it.
func (l *followedLog) judge(log joblogs.Log, left presence, nothing bool) results.Capture {
	switch unended := l.capture.Complete && !log.Ended; {
	case l.text.isReleased():
		return results.Capture{
			Reason: results.ReasonCaptureLost, Message: "the object with the captured log is missing or damaged",
		}
	case l.state == fellBack:
		return results.Capture{Reason: results.ReasonNotFollowed, Message: tooMany, Retryable: true}
	case unended && left == gone:
		return results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}
	case unended && left == final:
		return results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod ended, but the end of its container was not reported",
		}
	case unended:
		return results.Capture{
			Reason: results.ReasonStillRunning, Message: "the container was not reported to have ended", Retryable: true,
		}
	case nothing && l.capture.Reason == results.ReasonPodGone:
		return deletedBeforeCapture(fmt.Sprintf("nothing could be read: %s", l.capture.Message))
	default:
		return l.capture
	}
}

func deletedBeforeCapture(message string) results.Capture {
	return results.Capture{Reason: results.ReasonDeletedBeforeCapture, Message: message}
}
