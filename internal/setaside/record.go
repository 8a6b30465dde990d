// Package setaside decides which Jobs are handled after all others and alone: Jobs
// during whose handling the process was killed repeatedly. It keeps no state, does
// no I/O, and must not import anything of Job Handler. Package atwork stores the
// Record.
package setaside

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// MaxNoted bounds the Jobs noted as being handled, and those whose ends are
	// remembered. A UID has 36 bytes, so that a Record stays below 32 KiB.
	MaxNoted = 100
	// Ends is after how many ends of the process a Job is set aside.
	Ends = 2
	// ends are forgotten after this time: what killed the process may be mended.
	forgetAfter = 24 * time.Hour
	// A Job that is set aside and ends the process once more waits this long, and
	// each further time twice as long, before it is handled again.
	firstWait = time.Minute
	// maxText bounds what Decode reads, and maxUID what it takes for a UID.
	maxText = 64 << 10
	maxUID  = 64
)

// Record is what one process leaves for the next.
type Record struct {
	// Holder is the process at work; empty after one that ended in order.
	Holder string `json:"-"`
	// AtWork are the Jobs that it handles.
	AtWork []types.UID `json:"atWork,omitempty"`
	// Ended counts the ends of processes by the Jobs that they were handling.
	Ended map[types.UID]Count `json:"ended,omitempty"`
}

// Count is how often the process ended, and when last.
type Count struct {
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
}

// Encode returns the Record as text, without the Holder.
func (r Record) Encode() (string, error) {
	text, err := json.Marshal(r)
	return string(text), err
}

// Decode returns the Record of a text. What it cannot read, or what no process
// has written, it leaves out.
func Decode(text string) Record {
	var r Record
	if len(text) > maxText || json.Unmarshal([]byte(text), &r) != nil {
		return Record{}
	}
	r.AtWork = slices.DeleteFunc(r.AtWork, func(uid types.UID) bool { return !valid(uid) })
	r.AtWork = r.AtWork[:min(len(r.AtWork), MaxNoted)]
	maps.DeleteFunc(r.Ended, func(uid types.UID, count Count) bool { return !valid(uid) || count.Times < 1 })
	r.Ended = most(r.Ended)
	return r
}

func valid(uid types.UID) bool { return len(uid) > 0 && len(uid) <= maxUID }

// Begin returns the Record of a process that takes over, and whether the last one
// ended without being asked to. Each Job that it was handling has then one end
// more; but where a Job was at work that is under suspicion already, the others
// at work beside it are not blamed.
func (r Record) Begin(holder string, now time.Time) (next Record, unclean bool) {
	next = Record{Holder: holder, Ended: maps.Clone(r.Ended)}
	maps.DeleteFunc(next.Ended, func(_ types.UID, count Count) bool { return now.Sub(count.Last) >= forgetAfter })
	if r.Holder == "" {
		return next, false
	}
	if next.Ended == nil {
		next.Ended = map[types.UID]Count{}
	}
	for _, uid := range blamed(r.AtWork, next.Ended) {
		next.Ended[uid] = Count{Times: next.Ended[uid].Times + 1, Last: now}
	}
	next.Ended = most(next.Ended)
	return next, true
}

// blamed returns those of the Jobs at work that have the most ends.
func blamed(atWork []types.UID, ended map[types.UID]Count) []types.UID {
	worst := 0
	for _, uid := range atWork {
		worst = max(worst, ended[uid].Times)
	}
	return slices.DeleteFunc(slices.Clone(atWork), func(uid types.UID) bool { return ended[uid].Times < worst })
}

// most returns the MaxNoted Jobs with the most, and then the latest, ends.
func most(ended map[types.UID]Count) map[types.UID]Count {
	if len(ended) <= MaxNoted {
		return ended
	}
	worst := slices.SortedFunc(maps.Keys(ended), func(a, b types.UID) int {
		return cmp.Or(cmp.Compare(ended[b].Times, ended[a].Times), ended[b].Last.Compare(ended[a].Last), cmp.Compare(a, b))
	})
	kept := map[types.UID]Count{}
	for _, uid := range worst[:MaxNoted] {
		kept[uid] = ended[uid]
	}
	return kept
}

// Suspect reports whether a process ended while it handled the Job.
func (r Record) Suspect(job types.UID) bool { return r.Ended[job].Times > 0 }

// Times returns how often a process ended while it handled the Job.
func (r Record) Times(job types.UID) int { return r.Ended[job].Times }

// SetAside reports whether the Job is handled last and alone.
func (r Record) SetAside(job types.UID) bool { return r.Ended[job].Times >= Ends }

// Wait returns how long the Job has to wait for its next turn, at most longest.
func (r Record) Wait(job types.UID, now time.Time, longest time.Duration) time.Duration {
	count := r.Ended[job]
	if count.Times <= Ends {
		return 0
	}
	wait := longest
	if doubled := count.Times - Ends - 1; doubled < 16 {
		wait = min(wait, firstWait<<doubled)
	}
	return max(0, count.Last.Add(wait).Sub(now))
}

// Without returns the Record without the ends of one Job.
func (r Record) Without(job types.UID) Record {
	r.Ended = maps.Clone(r.Ended)
	delete(r.Ended, job)
	return r
}

// Work is a Job that is being handled.
type Work struct {
	Job   types.UID
	Since time.Time
	// Announced is true where the Job waits for being noted before it is handled.
	Announced bool
}

// Noted returns the Jobs to note at a time: those that have to be noted before
// they are handled, and then those handled the longest, for a while at least: an
// ordinary pass is over sooner.
func Noted(work []Work, now time.Time, atLeast time.Duration) []types.UID {
	work = slices.DeleteFunc(slices.Clone(work), func(w Work) bool { return !w.Announced && now.Sub(w.Since) < atLeast })
	slices.SortFunc(work, func(a, b Work) int {
		if a.Announced != b.Announced {
			if a.Announced {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Job, b.Job))
	})
	var noted []types.UID
	for _, w := range work[:min(len(work), MaxNoted)] {
		noted = append(noted, w.Job)
	}
	slices.Sort(noted)
	return noted
}
