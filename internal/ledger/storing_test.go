package ledger

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func oneJob() *jobtest.JobBuilder { return jobtest.MakeJob("team", "report").UID("job-uid") }

func TestLedgerCountTries(t *testing.T) {
	type try struct {
		First time.Time
		Tries int
	}
	var l Ledger
	job, other := oneJob().Obj(), oneJob().UID("other-uid").Obj()
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	begin := func(job *batchv1.Job, minutes int) try {
		first, tries := l.Reading(job, at(minutes))
		return try{first, tries}
	}
	for _, step := range []struct {
		name string
		got  try
		want try
	}{
		{"the first try", begin(job, 0), try{at(0), 1}},
		{"the second", begin(job, 1), try{at(0), 2}},
		{"another Job's first", begin(other, 2), try{at(2), 1}},
		{"the third", begin(job, 3), try{at(0), 3}},
	} {
		if diff := cmp.Diff(step.want, step.got); diff != "" {
			t.Errorf("%s: -want +got\n%s", step.name, diff)
		}
	}
	l.Reported(job, at(4))
	l.Missing(job)
	if diff := cmp.Diff(try{at(5), 1}, begin(job, 5)); diff != "" {
		t.Errorf("stored and lost, it starts anew: -want +got\n%s", diff)
	}
	l.Forget(other.UID)
	if diff := cmp.Diff(try{at(6), 1}, begin(other, 6)); diff != "" {
		t.Errorf("forgotten, it starts anew: -want +got\n%s", diff)
	}
}

// knows is what the process knows after what happened to the Job.
type knows struct{ Unstored, Behind bool }

func TestLedgerKnow(t *testing.T) {
	type step = func(l *Ledger, job *batchv1.Job)
	begin := func(l *Ledger, job *batchv1.Job) { l.Reading(job, noon.Add(-time.Minute)) }
	work := func(l *Ledger, job *batchv1.Job) { l.Storing(job) }
	report := func(l *Ledger, job *batchv1.Job) { l.Reported(job, noon) }
	lose := func(l *Ledger, job *batchv1.Job) { l.Missing(job) }
	forget := func(l *Ledger, job *batchv1.Job) { l.Forget(job.UID) }
	for name, test := range map[string]struct {
		steps []step
		// later is when it is asked, after noon.
		later time.Duration
		// stored is whether the Job that is asked about has a status.
		stored bool
		want   knows
	}{
		"nothing":                          {},
		"nothing of a stored Job":          {stored: true},
		"at work, a status is forged":      {steps: []step{work}, stored: true, want: knows{Unstored: true}},
		"at work, reported":                {steps: []step{work, report}, stored: true},
		"stored, at work once more":        {steps: []step{report, work}, stored: true, want: knows{Unstored: true}},
		"begun":                            {steps: []step{begin}, want: knows{Unstored: true}},
		"begun, a status is forged":        {steps: []step{begin}, stored: true, want: knows{Unstored: true}},
		"reported, the cache is behind":    {steps: []step{begin, report}, want: knows{Behind: true}},
		"reported, still behind":           {steps: []step{begin, report}, later: 5*time.Second - 1, want: knows{Behind: true}},
		"reported, the status taken away":  {steps: []step{begin, report}, later: 5 * time.Second},
		"reported, the cache caught up":    {steps: []step{begin, report}, stored: true},
		"reported at first sight":          {steps: []step{report}, want: knows{Behind: true}},
		"stored, then lost":                {steps: []step{begin, report, lose}, stored: true, want: knows{Unstored: true}},
		"stored, lost, the status is gone": {steps: []step{begin, report, lose}, want: knows{Unstored: true}},
		"lost at first sight: forged":      {steps: []step{lose}, stored: true, want: knows{Unstored: true}},
		"lost, and stored again":           {steps: []step{lose, begin, report}, stored: true},
		"lost, stored again, behind":       {steps: []step{lose, begin, report}, want: knows{Behind: true}},
		"stored, begun once more":          {steps: []step{report, begin}, stored: true, want: knows{Unstored: true}},
		"forgotten":                        {steps: []step{begin, report, forget}},
		"forgotten without a report":       {steps: []step{begin, forget}},
		"forgotten before it was known":    {steps: []step{forget}},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for _, step := range test.steps {
				step(&l, oneJob().Obj())
			}
			b := oneJob()
			if test.stored {
				b.Annotation(api.StatusAnnotation, api.StatusCompleted)
			}
			got := knows{Unstored: l.Unstored(b.Obj()), Behind: l.Behind(b.Obj(), noon.Add(test.later))}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			// A Job re-created under the same name is another run.
			again := oneJob().UID("next-uid").Obj()
			if l.Unstored(again) || l.Behind(again, noon) {
				t.Error("it is taken for its successor")
			}
		})
	}
}

// To ask is not to remember: what is asked about may be gone already.
func TestLedgerAskedRememberNothing(t *testing.T) {
	var l Ledger
	l.Unstored(oneJob().Obj())
	l.Behind(oneJob().Obj(), noon)
	l.Forget("job-uid")
	if len(l.jobs) > 0 {
		t.Errorf("%d runs are remembered", len(l.jobs))
	}
	l.Reading(oneJob().Obj(), noon)
	l.Forget("job-uid")
	if len(l.jobs) > 0 {
		t.Errorf("%d runs are remembered after the last is gone", len(l.jobs))
	}
}

// Workers share it: for the race detector.
func TestLedgerAreShared(t *testing.T) {
	var l Ledger
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			job := oneJob().UID(types.UID(fmt.Sprint(i % 4))).Obj()
			for range 100 {
				l.Storing(job)
				l.Reading(job, noon)
				l.Unstored(job)
				l.Reported(job, noon)
				l.Behind(job, noon)
				l.Missing(job)
				l.Forget(job.UID)
			}
		})
	}
	group.Wait()
	if len(l.jobs) > 0 {
		t.Errorf("%d runs are remembered", len(l.jobs))
	}
}

// Refusals are counted until the Job is reported.
func TestRefused(t *testing.T) {
	var l Ledger
	for want := range 3 {
		if got := l.Refused(oneJob().Obj()); got != want+1 {
			t.Errorf("%d refusals, want %d", got, want+1)
		}
	}
	l.Reported(oneJob().Obj(), noon)
	if got := l.Refused(oneJob().Obj()); got != 1 {
		t.Errorf("%d after a success", got)
	}
}
