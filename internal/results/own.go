package results

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/termination"
)

const (
	// maxOwnBytes bounds the keys and values of the Job's own results together.
	maxOwnBytes = 64 << 10
	// ownShare and ownNotesShare bound them, with what job.json says of those
	// that are there, and what it says of those that are not, to a part of what
	// the object can hold.
	ownShare      = 4
	ownNotesShare = 16
	// maxOwnNotes is how many of those that are not there are named.
	maxOwnNotes = 100
	// maxRenamed is more than a name with a data key takes as readable text.
	maxRenamed = 4 * maxKey
	// ownListing is more than what the layout of job.json adds to a text.
	ownListing = 16
)

// Reasons for which a result of the Job's own is not under a key of its own.
// The message that it is from is whole in job.json.
const (
	// OwnNoRoom: it did not fit.
	OwnNoRoom = "NoRoom"
	// OwnKeyTaken: another one has its key.
	OwnKeyTaken = "KeyTaken"
	// OwnKeyTooLong: its key would have more than 253 characters.
	OwnKeyTooLong = "KeyTooLong"
	// OwnFailedAttempt: it is from a pod that failed, where a pod reported that
	// did not.
	OwnFailedAttempt = "FailedAttempt"
)

// OwnRecord tells of the Job's own results: what its containers reported in
// their termination messages.
type OwnRecord struct {
	// DataKeys has the keys of the object's data that hold them, sorted.
	DataKeys []string `json:"dataKeys"`
	// Renamed has, for each data key that starts with result., the name that it
	// stands for, as readable text: one that is reserved, or no valid key.
	Renamed map[string]string `json:"renamed,omitempty"`
	// LeftOut names those that have no data key.
	LeftOut []OwnLeftOut `json:"leftOut,omitempty"`
	// MoreLeftOut counts those that have no data key and are not named.
	MoreLeftOut int `json:"moreLeftOut,omitempty"`
}

// OwnLeftOut is a result of the Job's own that has no data key.
type OwnLeftOut struct {
	// Pod is the name of the pod that reported it.
	Pod string `json:"pod"`
	// Container is the name of the container that reported it.
	Container string `json:"container"`
	// Key is the name that the container gave it.
	Key string `json:"key"`
	// Bytes is how long its value is.
	Bytes int `json:"bytes"`
	// Reason is why it has no data key.
	Reason string `json:"reason"`
}

// ownReport is what one container reported.
type ownReport struct {
	c      *containerView
	index  *int
	prefix string
	values []termination.Value
	// superseded is true if it is from a failed attempt that does not count.
	superseded bool
}

// ownResults are the Job's own results as they are stored.
type ownResults struct {
	data map[string]string
	// record is nil if no container reported any.
	record *OwnRecord
	// listed is the most that record takes in job.json, in bytes.
	listed int

	room, listRoom, noteRoom int
}

// chooseOwn returns the own results of run, in at most a quarter of limit.
// cut has the messages that were cut before they were redacted.
func chooseOwn(run *Run, pods []*podView, cut cutMessages, limit int) *ownResults {
	o := &ownResults{
		data: map[string]string{},
		room: min(maxOwnBytes, limit/ownShare), listRoom: limit / ownShare, noteRoom: limit / ownNotesShare,
	}
	reports := ownReports(run, pods, cut)
	if len(reports) == 0 {
		return o
	}
	o.record = &OwnRecord{DataKeys: []string{}}
	for _, r := range reports {
		for _, v := range r.values {
			if reason := o.add(r, v); reason != "" {
				o.leaveOut(r, v, reason)
			}
		}
	}
	slices.Sort(o.record.DataKeys)
	return o
}

// ownReports returns what containers reported that ended with exit code 0, by
// completion index where the Job has them, else in order of creation; failed
// attempts last.
func ownReports(run *Run, pods []*podView, cut cutMessages) []*ownReport {
	indexed := run.Job.Spec.CompletionMode != nil && *run.Job.Spec.CompletionMode == batchv1.IndexedCompletion
	var reports []*ownReport
	for _, p := range pods {
		for _, c := range p.containers {
			if values := reported(run, c, cut[messageKey{c.pod.UID, c.Name}]); len(values) > 0 {
				r := &ownReport{c: c, values: values}
				if indexed {
					r.index = completionIndex(c.pod)
				}
				reports = append(reports, r)
			}
		}
	}
	supersede(reports)
	prefix(reports)
	slices.SortStableFunc(reports, func(a, b *ownReport) int {
		return cmp.Or(cmp.Compare(a.late(), b.late()), cmp.Compare(a.scope(), b.scope()))
	})
	return reports
}

// scope is what one pod has to succeed for: a completion index, or, as -1, the
// Job.
func (r *ownReport) scope() int {
	if r.index == nil {
		return -1
	}
	return *r.index
}

func (r *ownReport) late() int {
	if r.superseded {
		return 1
	}
	return 0
}

// supersede marks reports from pods that failed, where one of the same scope
// that did not fail reported too: a retry must not change the keys by which
// results are found.
func supersede(reports []*ownReport) {
	healthy := map[int]bool{}
	for _, r := range reports {
		if r.c.rank == healthyRank {
			healthy[r.scope()] = true
		}
	}
	for _, r := range reports {
		r.superseded = r.c.rank != healthyRank && healthy[r.scope()]
	}
}

// prefix gives reports what their keys start with: nothing where one container
// reports, the index in an Indexed Job, followed by the container where several
// of a pod report, and else pod and container.
func prefix(reports []*ownReport) {
	counted, byPod := 0, map[*corev1.Pod]int{}
	several := false
	for _, r := range reports {
		if !r.superseded {
			counted++
			byPod[r.c.pod]++
			several = several || byPod[r.c.pod] > 1
		}
	}
	for _, r := range reports {
		switch {
		case r.index != nil && several:
			r.prefix = fmt.Sprintf("%d.%s.", *r.index, r.c.Name)
		case r.index != nil:
			r.prefix = strconv.Itoa(*r.index) + "."
		case counted > 1:
			r.prefix = r.c.pod.Name + "." + r.c.Name + "."
		}
	}
}

// add stores v under its key and returns "", or why it cannot be.
func (o *ownResults) add(r *ownReport, v termination.Value) (reason string) {
	if r.superseded {
		return OwnFailedAttempt
	}
	if len(r.prefix)+len(v.Key)+len(v.Text) > o.room {
		return OwnNoRoom
	}
	key, renamed := ownKey(r.prefix + v.Key)
	if len(key) > maxKey {
		return OwnKeyTooLong
	}
	if _, taken := o.data[key]; taken {
		return OwnKeyTaken
	}
	size, listing := len(key)+len(v.Text), len(key)+ownListing
	name := ""
	if renamed {
		name = logtext.Line(r.prefix+v.Key, maxRenamed)
		listing += len(key) + jsonSize(name) + ownListing
	}
	if size > o.room || size+listing > o.listRoom {
		return OwnNoRoom
	}
	o.room -= size
	o.listRoom -= size + listing
	o.listed += listing
	o.data[key] = v.Text
	o.record.DataKeys = append(o.record.DataKeys, key)
	if renamed {
		if o.record.Renamed == nil {
			o.record.Renamed = map[string]string{}
		}
		o.record.Renamed[key] = name
	}
	return ""
}

// leaveOut names v in job.json, or counts it.
func (o *ownResults) leaveOut(r *ownReport, v termination.Value, reason string) {
	// What is not named costs next to nothing: it may be from 10,000 pods.
	if len(o.record.LeftOut) == maxOwnNotes || o.noteRoom < 6*ownListing {
		o.record.MoreLeftOut++
		return
	}
	left := OwnLeftOut{
		Pod: line(r.c.pod.Name), Container: line(r.c.Name), Key: line(v.Key), Bytes: len(v.Text), Reason: reason,
	}
	size := jsonSize(left) + 6*ownListing
	if size > o.noteRoom {
		o.record.MoreLeftOut++
		return
	}
	o.noteRoom -= size
	o.listed += size
	o.record.LeftOut = append(o.record.LeftOut, left)
}

// jsonSize returns how many bytes v, which has only texts and numbers, takes
// as JSON on one line.
func jsonSize(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return maxOwnBytes
	}
	return len(text)
}
