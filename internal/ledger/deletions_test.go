package ledger

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Job that was deleted is not asked about again, one of the same name is.
func TestDeleted(t *testing.T) {
	job := oneJob().Obj()
	namesake := oneJob().UID("other-uid").Obj()
	going := oneJob().Obj()
	going.DeletionTimestamp = &metav1.Time{Time: noon}
	deletedAtNoon := func() *Ledger {
		l := &Ledger{}
		l.Deleted(job, noon)
		return l
	}
	for name, test := range map[string]struct {
		l            *Ledger
		job          *batchv1.Job
		after        time.Duration
		has, awaited bool
	}{
		"nothing was":         {l: &Ledger{}, job: job},
		"it was":              {l: deletedAtNoon(), job: job, has: true, awaited: true},
		"it was, a while ago": {l: deletedAtNoon(), job: job, after: CatchUp, has: true},
		"it is told to go":    {l: deletedAtNoon(), job: going, has: true},
		"a namesake is there": {l: deletedAtNoon(), job: namesake, has: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.l.WasDeleted(keyOf(test.job)); got != test.has {
				t.Errorf("has: %t", got)
			}
			if got := test.l.StillCached(test.job, noon.Add(test.after)); got != test.awaited {
				t.Errorf("awaited: %t", got)
			}
		})
	}
}

// A namesake that leaves the cache is asked about: its label may have gone.
func TestDeletedForgetsNamesakes(t *testing.T) {
	job, l := oneJob().Obj(), &Ledger{}
	l.Deleted(job, noon)
	l.Left(job)
	if !l.WasDeleted(keyOf(job)) {
		t.Error("the Job itself left, and would be asked about")
	}
	l.Left(oneJob().UID("other-uid").Obj())
	if l.WasDeleted(keyOf(job)) {
		t.Error("a namesake left, and would not be asked about")
	}
}

// What was deleted long ago is forgotten, so that memory does not grow.
func TestDeletedEnds(t *testing.T) {
	l := &Ledger{}
	first, second, third := oneJob().Obj(), oneJob().UID("second").Obj(), oneJob().UID("third").Obj()
	second.Name, third.Name = "second", "third"
	l.Deleted(first, noon)
	l.Deleted(second, noon)
	l.Deleted(first, noon.Add(time.Second))
	l.Deleted(third, noon.Add(deletedMemory+time.Second))
	for job, want := range map[*batchv1.Job]bool{first: true, second: false, third: true} {
		if got := l.WasDeleted(keyOf(job)); got != want {
			t.Errorf("%s: %t", job.Name, got)
		}
	}
	l.Deleted(second, noon.Add(time.Hour))
	if len(l.deletions.byKey) != 1 || len(l.deletions.order) != 1 {
		t.Errorf("%d and %d are remembered, want 1", len(l.deletions.byKey), len(l.deletions.order))
	}
}
