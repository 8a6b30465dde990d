package results

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/why"
)

// eventsShare is the part of an object's values that Events may take in each of the two
// texts that have them.
const eventsShare = 16

// eventsOfLogs is the part of what logs may take, where that is bounded, that Events may
// take besides.
const eventsOfLogs = 4

// explain finds out what explains most why the Job failed, and which Events have room.
func (run *Run) explain() {
	pods := make([]*corev1.Pod, 0, len(run.Pods))
	for i := range run.Pods {
		pods = append(pods, run.Pods[i].Pod)
	}
	run.explanation = why.Explain(run.Outcome, pods, run.Events)
	run.keptEvents = run.Events
	room := run.limit() / eventsShare
	if run.MaxLogBytes > 0 {
		room = min(room, run.MaxLogBytes/eventsOfLogs)
	}
	for i, e := range slices.Backward(run.Events) {
		if room -= max(len(e.String()), jsonSize(eventRecord(e))+separators); room < 0 {
			run.keptEvents = run.Events[i+1:]
			return
		}
	}
}

// message returns the message of the Job's condition, and the explanation.
func (run *Run) message() string {
	message := logtext.Text(run.Outcome.Message, maxJobMessage)
	if run.explanation == (why.Explanation{}) {
		return message
	}
	if message = strings.TrimRight(message, ".;\n "); message != "" {
		message += "; "
	}
	return logtext.Text(message+run.explanation.String(), maxMessages)
}

func (run *Run) explanationRecord() *ExplanationRecord {
	e := run.explanation
	if e == (why.Explanation{}) {
		return nil
	}
	return &ExplanationRecord{
		Reason: logtext.Line(e.Reason, maxReason), Pod: line(e.Pod), Container: line(e.Container), ExitCode: e.ExitCode,
		Text: logtext.Line(e.String(), maxMessages),
	}
}

// eventsText returns the value of events, "" if there is nothing to say.
func (run *Run) eventsText() string {
	var text strings.Builder
	if left := len(run.Events) - len(run.keptEvents); left > 0 {
		text.WriteString("[job-handler: " + logtext.Count(int64(left), "Event") + " left out here]\n")
	}
	for _, e := range run.keptEvents {
		text.WriteString(e.String() + "\n")
	}
	if run.EventsNote != "" {
		text.WriteString("[job-handler: " + run.EventsNote + "]\n")
	}
	return text.String()
}

func (run *Run) eventRecords() []EventRecord {
	var records []EventRecord
	for _, e := range run.keptEvents {
		records = append(records, eventRecord(e))
	}
	return records
}

func eventRecord(e why.Event) EventRecord {
	return EventRecord{
		Kind: line(e.Kind), Name: line(e.Name), Reason: logtext.Line(e.Reason, maxReason),
		Message: logtext.Line(e.Message, why.MaxEventMessage), Count: e.Count,
		FirstSeen: rfc3339(e.First), LastSeen: rfc3339(e.Last),
	}
}

// whyNotStarted returns the capture of a container, which says what Events say of its
// pod where it never started and its state does not tell why.
func (run *Run) whyNotStarted(pod *corev1.Pod, capture Capture) Capture {
	if capture.Reason != ReasonNeverStarted || len(run.Events) == 0 || capture.Message != "" && !why.SaysNothing(capture.Message) {
		return capture
	}
	if e, told := why.EventOf(pod, run.Events); told {
		capture.Message = e.Reason + ": " + e.Message
	}
	return capture
}
