package job

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Job that was deleted is not asked about again, one of the same name is.
func TestDeleted(t *testing.T) {
	job := oneJob().Obj()
	namesake := oneJob().UID("other-uid").Obj()
	going := oneJob().Obj()
	going.DeletionTimestamp = &metav1.Time{Time: noon}
	deletedAtNoon := func() *deleted {
		d := &deleted{}
		d.note(job, noon)
		return d
	}
	for name, test := range map[string]struct {
		d            *deleted
		job          *batchv1.Job
		after        time.Duration
		has, awaited bool
	}{
		"nothing was":         {d: &deleted{}, job: job},
		"it was":              {d: deletedAtNoon(), job: job, has: true, awaited: true},
		"it was, a while ago": {d: deletedAtNoon(), job: job, after: cacheCatchUpDeadline, has: true},
		"it is told to go":    {d: deletedAtNoon(), job: going, has: true},
		"a namesake is there": {d: deletedAtNoon(), job: namesake, has: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.d.has(client.ObjectKeyFromObject(test.job)); got != test.has {
				t.Errorf("has: %t", got)
			}
			if got := test.d.awaited(test.job, noon.Add(test.after)); got != test.awaited {
				t.Errorf("awaited: %t", got)
			}
		})
	}
}

// A namesake that leaves the cache is asked about: its label may have gone.
func TestDeletedForgetsNamesakes(t *testing.T) {
	job, d := oneJob().Obj(), &deleted{}
	d.note(job, noon)
	d.left(job)
	if !d.has(client.ObjectKeyFromObject(job)) {
		t.Error("the Job itself left, and would be asked about")
	}
	d.left(oneJob().UID("other-uid").Obj())
	if d.has(client.ObjectKeyFromObject(job)) {
		t.Error("a namesake left, and would not be asked about")
	}
}

// What was deleted long ago is forgotten, so that memory does not grow.
func TestDeletedEnds(t *testing.T) {
	d := &deleted{}
	first, second, third := oneJob().Obj(), oneJob().UID("second").Obj(), oneJob().UID("third").Obj()
	second.Name, third.Name = "second", "third"
	d.note(first, noon)
	d.note(second, noon)
	d.note(first, noon.Add(time.Second))
	d.note(third, noon.Add(deletedMemory+time.Second))
	for job, want := range map[*batchv1.Job]bool{first: true, second: false, third: true} {
		if got := d.has(client.ObjectKeyFromObject(job)); got != want {
			t.Errorf("%s: %t", job.Name, got)
		}
	}
	d.note(second, noon.Add(time.Hour))
	if len(d.byKey) != 1 || len(d.order) != 1 {
		t.Errorf("%d and %d are remembered, want 1", len(d.byKey), len(d.order))
	}
}
