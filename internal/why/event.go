package why

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// MaxEvents is how many different Events of a run are told of.
	MaxEvents = 50
	// MaxEventMessage bounds the message of one, in bytes. Kubernetes' own are 1,024
	// bytes at most.
	MaxEventMessage = 1 << 10
	// MaxEventName bounds the other texts of one, each, in bytes.
	MaxEventName = 253
)

// Event is a Warning Event about a Job or a pod of it, or several that differ in their
// times only.
type Event struct {
	// UID is that of what it is about.
	UID types.UID
	// Kind is Job or Pod, Name that of the object.
	Kind, Name string
	// Reason and Message are what it says. Both are what its author wrote: anybody who
	// may create Events can.
	Reason, Message string
	// Count is how often it was seen, at least 1, First and Last are when.
	Count       int
	First, Last time.Time
}

// ids are the parts of a message that are new in each Event: IDs of sandboxes, names of
// pods that were refused, numbers.
var ids = regexp.MustCompile(`-[0-9a-z]{5}"|[0-9a-f]{8,}|[0-9]+`)

// Merge returns the Events with those as one that say the same of the same object, but
// for IDs and numbers, in order of when they were seen last, and of those that are too
// many the newest: at most MaxEvents. Of those that are one the latest message is kept.
func Merge(events []Event) []Event {
	type identity struct {
		uid             types.UID
		reason, message string
	}
	places := map[identity]int{}
	var merged []Event
	for _, e := range events {
		key := identity{e.UID, e.Reason, ids.ReplaceAllString(e.Message, "*")}
		place, again := places[key]
		if !again {
			places[key] = len(merged)
			merged = append(merged, e)
			continue
		}
		merged[place].add(e)
	}
	slices.SortStableFunc(merged, func(a, b Event) int {
		return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return merged[max(0, len(merged)-MaxEvents):]
}

// add counts another Event that says the same.
func (e *Event) add(other Event) {
	e.Count += max(1, other.Count)
	if e.First.IsZero() || !other.First.IsZero() && other.First.Before(e.First) {
		e.First = other.First
	}
	if other.Last.After(e.Last) {
		e.Last, e.Message = other.Last, other.Message
	}
}

// String returns the Event as one line: when, about what, and what it says.
func (e Event) String() string {
	often := ""
	if e.Count > 1 {
		often = fmt.Sprintf(" (%d times", e.Count)
		if span := e.Last.Sub(e.First).Round(time.Second); !e.First.IsZero() && span > 0 {
			often += " in " + span.String()
		}
		often += ")"
	}
	at := "-"
	if !e.Last.IsZero() {
		at = e.Last.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s  %s/%s  %s%s: %s", at, strings.ToLower(line(e.Kind)), line(e.Name), line(e.Reason), often,
		logtext.Line(e.Message, MaxEventMessage))
}

func line(text string) string { return logtext.Line(text, MaxEventName) }
