package results

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/logtext"
)

// unstableRestarts is how many restarts a container may have and still count
// as stable.
const unstableRestarts = 5

// maxBlockMessage bounds a message in the containers block, in bytes; job.json
// may have more of it.
const maxBlockMessage = 1 << 10

// blockWriter writes aligned "label: value" lines and leaves out empty values.
type blockWriter struct{ strings.Builder }

func (w *blockWriter) field(depth int, label, value string) {
	if value == "" {
		return
	}
	indent := strings.Repeat("  ", depth)
	fmt.Fprintf(w, "%-17s %s\n", indent+label+":", value)
}

// block returns the text about one container, ending with a newline.
func block(pod PodRecord, c ContainerRecord) string {
	var w blockWriter
	fmt.Fprintf(&w, "pod %s, container %s\n", pod.Name, c.Name)
	w.field(1, "Kind", string(c.Kind))
	w.field(1, "Image", c.Image)
	w.field(1, "Image ID", c.ImageID)
	w.field(1, "Ready", strconv.FormatBool(c.Ready))
	w.field(1, "Restart count", restarts(c.RestartCount))
	w.field(1, "Started", strconv.FormatBool(c.Started))
	w.state("State", &c.State)
	if c.LastState != nil {
		w.state("Last state", c.LastState)
	}
	return w.String()
}

func restarts(n int32) string {
	if n > unstableRestarts {
		return fmt.Sprintf("%d (unstable)", n)
	}
	return strconv.Itoa(int(n))
}

func (w *blockWriter) state(label string, s *StateRecord) {
	w.field(1, label, s.State)
	if s.ExitCode != nil {
		w.field(2, "Exit code", strconv.Itoa(int(*s.ExitCode)))
	}
	if s.Signal != 0 {
		w.field(2, "Signal", strconv.Itoa(int(s.Signal)))
	}
	w.field(2, "Reason", s.Reason)
	w.field(2, "Message", logtext.Line(strings.TrimSpace(s.Message), maxBlockMessage))
	w.field(2, "Started at", s.StartedAt)
	w.field(2, "Finished at", s.FinishedAt)
	if s.DurationSeconds != nil {
		w.field(2, "Duration", (time.Duration(*s.DurationSeconds) * time.Second).String())
	}
}
