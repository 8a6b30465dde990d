package ledger

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func createdAt(uid int, name string, at time.Time) *batchv1.Job {
	job := oneJob().UID(types.UID(fmt.Sprint(uid))).Obj()
	job.Name, job.CreationTimestamp.Time = name, at.Truncate(time.Second)
	return job
}

func TestMadeAgain(t *testing.T) {
	type run struct {
		name string
		// after is how long after the last deletion it is created, takes how long it runs.
		after, takes time.Duration
	}
	tool := run{"report", time.Second, 20 * time.Millisecond}
	long := run{"report", time.Second, 10 * time.Hour}
	person := run{"report", 6 * time.Minute, time.Second}
	for name, test := range map[string]struct {
		runs []run
		kept int
	}{
		"a tool":                         {[]run{tool, tool, tool}, 3},
		"a tool, Jobs that run for long": {[]run{long, long, long}, 3},
		"a person who tries once more":   {[]run{tool, tool, person, tool}, 0},
		"a person now and then":          {[]run{person, person, person, person}, 0},
		"a CronJob's Jobs":               {[]run{{"a-1", 0, time.Second}, {"a-2", time.Second, time.Second}, {"a-3", time.Second, time.Second}}, 0},
		"two names in turns":             {[]run{tool, {"other", 0, 0}, tool, {"other", 0, 0}, tool}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var m madeAgain
			now, kept := noon, 0
			for i, run := range test.runs {
				job := createdAt(i, run.name, now.Add(run.after))
				first := m.times(job)
				now = now.Add(run.after + run.takes)
				if again := m.times(job); again != first {
					t.Fatalf("run %d: made again %d times, and then %d", i+1, first, again)
				}
				if first >= onceTooOften {
					kept = i + 1
					break
				}
				m.deleted(job, now)
			}
			if kept != test.kept {
				t.Errorf("kept run %d, want %d", kept, test.kept)
			}
		})
	}
}

// However many other Jobs are deleted meanwhile, a Job that was seen made again once
// is known; what is remembered is bounded.
func TestMadeAgainIsBounded(t *testing.T) {
	var m madeAgain
	m.deleted(createdAt(1, "report", noon), noon)
	second := createdAt(2, "report", noon.Add(time.Second))
	if m.times(second) != 1 {
		t.Fatal("not seen")
	}
	for i := range rememberedDeletions + 10 {
		m.deleted(createdAt(10+i, fmt.Sprint("job-", i), noon), noon)
	}
	m.deleted(second, noon.Add(time.Hour))
	if m.times(createdAt(3, "report", noon.Add(time.Hour))) != 2 {
		t.Error("forgotten")
	}
	if m.deletions.Len() > rememberedDeletions || m.again.Len() > rememberedAgain {
		t.Errorf("remembers %d and %d", m.deletions.Len(), m.again.Len())
	}
}

// A client that takes longer than soonAgain is never stopped.
func TestPatientClientsAreLeftAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m madeAgain
		now := noon
		for i := range rapid.IntRange(1, 20).Draw(t, "runs") {
			created := now.Add(soonAgain + time.Duration(rapid.IntRange(1, 1e6).Draw(t, "pause"))*time.Second)
			job := createdAt(i, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), created)
			if times := m.times(job); times > 0 {
				t.Fatalf("made again %d times", times)
			}
			now = created.Add(time.Duration(rapid.IntRange(0, 1e5).Draw(t, "takes")) * time.Second)
			m.deleted(job, now)
		}
	})
}

// A delay that the Namespace or a flag gives the Job ends in a deletion too; a TTL of
// its user's own is none of ours.
func TestMadeAgainAfterADelay(t *testing.T) {
	var l Ledger
	m, end := &l.again, noon
	for i := range 3 {
		before := createdAt(i, "report", end.Add(time.Second))
		end = before.CreationTimestamp.Add(10 * time.Minute)
		stored := before.DeepCopy()
		stored.Status = oneJob().Completed(end.Add(-time.Minute)).Obj().Status
		stored.Spec.TTLSecondsAfterFinished = new(int32(60))
		if times := m.times(before); times != i {
			t.Fatalf("run %d: made again %d times", i+1, times)
		}
		l.GaveTTL(before, stored)
	}
	own := createdAt(9, "other", noon)
	own.Spec.TTLSecondsAfterFinished = new(int32(60))
	l.GaveTTL(own, own)
	if m.deletions.Len()+m.again.Len() != 2 {
		t.Errorf("remembers %d and %d", m.deletions.Len(), m.again.Len())
	}
}
