package results

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/termination"
)

// messageKey is a container's message in a run.
type messageKey struct {
	pod       types.UID
	container string
}

// cutMessages has the messages that the kubelet may have cut. Redaction changes
// sizes, so it is found out before that.
type cutMessages map[messageKey]bool

func findCut(pods []Pod) cutMessages {
	var found cutMessages
	for _, p := range pods {
		containers := Containers(p.Pod)
		for _, c := range containers {
			if !termination.MayBeCut(message(c.State()), len(containers)) {
				continue
			}
			if found == nil {
				found = cutMessages{}
			}
			found[messageKey{p.Pod.UID, c.Name}] = true
		}
	}
	return found
}

// reported returns what a container reported that ended with exit code 0, its
// credentials replaced and counted for the run.
func reported(run *Run, c *containerView, cut bool) []termination.Value {
	end := c.State().Terminated
	if end == nil || end.ExitCode != 0 || end.Signal != 0 || end.Message == "" {
		return nil
	}
	values := termination.Parse(end.Message, cut)
	// The message is redacted already, as far as escapes hide nothing in it.
	if !strings.Contains(end.Message, `\`) {
		return values
	}
	if counts := redactValues(run.Redact, values); counts.Total() > 0 {
		if run.redacted == nil {
			run.redacted = redact.Counts{}
		}
		run.redacted.Add(counts)
		c.says(values)
	}
	return values
}

// redactValues replaces credentials in values.
func redactValues(rules *redact.Set, values []termination.Value) redact.Counts {
	all := redact.Counts{}
	for i := range values {
		for _, text := range []*string{&values[i].Key, &values[i].Text} {
			replaced, counts := rules.String(*text)
			*text = replaced
			all.Add(counts)
		}
	}
	return all
}

// says has the container have left a message that reports values, as texts.
func (c *containerView) says(values []termination.Value) {
	report := make(map[string]string, len(values))
	for _, v := range values {
		report[v.Key] = v.Text
	}
	// Texts always marshal.
	text, _ := json.Marshal(report)
	status := c.Status.DeepCopy()
	status.State.Terminated.Message = string(text)
	c.Status = status
}
