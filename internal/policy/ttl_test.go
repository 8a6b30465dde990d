package policy

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func TestRaisedTTL(t *testing.T) {
	for name, tc := range map[string]struct {
		job   *jobtest.JobBuilder
		floor time.Duration
		want  *int32
	}{
		"no TTL":                       {job(), floor, nil},
		"0":                            {job().TTL(0), floor, new(int32(3600))},
		"just below":                   {job().TTL(3599), floor, new(int32(3600))},
		"at the floor":                 {job().TTL(3600), floor, nil},
		"negative is the API server's": {job().TTL(-1), floor, nil},
		"no floor":                     {job().TTL(0), 0, nil},
		"a negative floor":             {job().TTL(0), -floor, nil},
		"a floor in parts of a second": {job().TTL(1), 1500 * time.Millisecond, new(int32(2))},
		"a floor beyond int32":         {job().TTL(1), math.MaxInt64, new(int32(math.MaxInt32))},
		"raised to a lower floor":      {job().TTL(60).Annotation(api.TTLAnnotation, "5"), floor, new(int32(3600))},
		"an unreadable record":         {job().TTL(60).Annotation(api.TTLAnnotation, "x"), floor, new(int32(3600))},
		"tracked by Argo CD":           {job().TTL(0).Annotation(argoTrackingAnnotation, "x"), floor, nil},
		"tracked by Flux":              {job().TTL(0).Label(fluxKustomizeLabel, "x"), floor, nil},
		"tracked by Flux' Helm":        {job().TTL(0).Label(fluxHelmLabel, "x"), floor, nil},
		"tracked by Helm":              {job().TTL(0).Annotation(helmReleaseAnnotation, "x"), floor, nil},
		"a hook is not tracked":        {job().TTL(0).Annotation(helmHookAnnotation, "x"), floor, new(int32(3600))},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, RaisedTTL(tc.job.Obj(), tc.floor, LeftAlone{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestOwnTTL(t *testing.T) {
	for name, tc := range map[string]struct {
		job  *jobtest.JobBuilder
		want *int32
	}{
		"none":                         {job(), nil},
		"of the spec":                  {job().TTL(9), new(int32(9))},
		"0 of the spec":                {job().TTL(0), new(int32(0))},
		"raised":                       {job().TTL(3600).Annotation(api.TTLAnnotation, "9;raised=3600"), new(int32(9))},
		"raised from 0":                {job().TTL(3600).Annotation(api.TTLAnnotation, "0;raised=3600"), new(int32(0))},
		"raised, and the user's since": {job().TTL(86400).Annotation(api.TTLAnnotation, "9;raised=3600"), new(int32(86400))},
		"raised, and lowered since":    {job().TTL(600).Annotation(api.TTLAnnotation, "9;raised=3600"), new(int32(600))},
		"raised, and removed since":    {job().Annotation(api.TTLAnnotation, "9;raised=3600"), nil},
		"by the previous version":      {job().TTL(3600).Annotation(api.TTLAnnotation, "9"), new(int32(9))},
		"by it from 0":                 {job().TTL(3600).Annotation(api.TTLAnnotation, "0"), new(int32(0))},
		"by it, and lowered since":     {job().TTL(8).Annotation(api.TTLAnnotation, "9"), new(int32(8))},
		"by it, and removed since":     {job().Annotation(api.TTLAnnotation, "9"), nil},
		"half a record":                {job().TTL(3600).Annotation(api.TTLAnnotation, "9;raised="), new(int32(3600))},
		"a record that says more":      {job().TTL(3600).Annotation(api.TTLAnnotation, "9;raised=3600;raised=1"), new(int32(3600))},
		"the record is unreadable":     {job().TTL(3600).Annotation(api.TTLAnnotation, "9s"), new(int32(3600))},
		"the record is negative":       {job().TTL(3600).Annotation(api.TTLAnnotation, "-9"), new(int32(3600))},
		"the record is empty":          {job().TTL(3600).Annotation(api.TTLAnnotation, ""), new(int32(3600))},
		"negative":                     {job().TTL(-1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, OwnTTL(tc.job.Obj())); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestOwnTTLIsACopy(t *testing.T) {
	given := job().TTL(9).Obj()
	*OwnTTL(given) = 10
	if *given.Spec.TTLSecondsAfterFinished != 9 {
		t.Error("the Job's TTL changed")
	}
}

// Raising any number of times and putting back once gives the user's TTL.
func TestRaiseAndPutBackTTL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.Int32Min(0).Draw(t, "own")
		given := job().TTL(own).Obj()
		for _, raised := range rapid.SliceOf(rapid.Int32Min(0)).Draw(t, "raised") {
			RaiseTTL(given, raised)
			if !Raised(given) || *given.Spec.TTLSecondsAfterFinished != raised || DropVoidRecord(given) {
				t.Fatalf("raised to %d: %v, %v", raised, *given.Spec.TTLSecondsAfterFinished, given.Annotations)
			}
		}
		PutBackTTL(given)
		if *given.Spec.TTLSecondsAfterFinished != own || has(given.Annotations, api.TTLAnnotation) || Raised(given) {
			t.Fatalf("put back %v, %v", *given.Spec.TTLSecondsAfterFinished, given.Annotations)
		}
	})
}

func TestStampUpdate(t *testing.T) {
	stamped := func() *jobtest.JobBuilder { return job().Label(api.EnabledLabel, api.True) }
	raised := func() *jobtest.JobBuilder { return stamped().TTL(3600).Annotation(api.TTLAnnotation, "30;raised=3600") }
	// kept is what the client sends: the record that it has read.
	kept := func(ttl int32) *jobtest.JobBuilder {
		return stamped().TTL(ttl).Annotation(api.TTLAnnotation, "30;raised=3600")
	}
	removed := func() *jobtest.JobBuilder { return stamped().Annotation(api.TTLAnnotation, "30;raised=3600") }
	changed := func(b *jobtest.JobBuilder, change func(*batchv1.Job)) *jobtest.JobBuilder {
		change(b.Obj())
		return b
	}
	for name, tc := range map[string]struct {
		old, job *jobtest.JobBuilder
		// want is nil where the Job is none of ours.
		want *jobtest.JobBuilder
	}{
		"the same value applied again":    {raised(), kept(30), raised()},
		"a lower value":                   {raised(), kept(0), stamped().TTL(3600).Annotation(api.TTLAnnotation, "0;raised=3600")},
		"a higher one below the floor":    {raised(), kept(600), stamped().TTL(3600).Annotation(api.TTLAnnotation, "600;raised=3600")},
		"one above the floor":             {raised(), kept(86400), stamped().TTL(86400)},
		"removed":                         {raised(), removed(), stamped()},
		"the first one":                   {stamped(), stamped().TTL(5), stamped().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600")},
		"lowered to below the floor":      {stamped().TTL(7200), stamped().TTL(5), stamped().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600")},
		"a record that the client forged": {stamped(), stamped().TTL(60).Annotation(api.TTLAnnotation, "1;raised=60"), stamped().TTL(3600).Annotation(api.TTLAnnotation, "60;raised=3600")},
		"of the previous version": {
			stamped().TTL(3600).Annotation(api.TTLAnnotation, "30"), stamped().TTL(86400).Annotation(api.TTLAnnotation, "30"), stamped().TTL(86400),
		},

		"nothing changed":        {raised(), raised().Annotation("a", "b"), nil},
		"the record dropped too": {raised(), stamped().TTL(30), nil},
		"not stamped":            {job().TTL(10), job().TTL(5), nil},
		"opted out":              {raised(), kept(5).Label(api.EnabledLabel, api.False), nil},
		"being deleted":          {raised(), changed(kept(5), func(j *batchv1.Job) { j.DeletionTimestamp = &j.CreationTimestamp }), nil},
		"stored":                 {raised(), kept(5).Annotation(api.StatusAnnotation, api.StatusCompleted), nil},
		"finished":               {raised(), kept(5).Completed(time.Unix(1, 0)), nil},
		"tracked":                {raised(), kept(5).Annotation(argoTrackingAnnotation, "x"), nil},
		"another controller's":   {raised(), kept(5).OwnedBy("example.com/v1", "Report", "r", "u"), nil},
		"a CronJob's":            {raised(), kept(5).OwnedBy("batch/v1", "CronJob", "c", "u"), stamped().TTL(3600).Annotation(api.TTLAnnotation, "5;raised=3600").OwnedBy("batch/v1", "CronJob", "c", "u")},
		"about to end, not at end": {raised(), changed(kept(30), func(j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}}
		}), changed(raised(), func(j *batchv1.Job) {
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			sent, got := tc.job.Obj().DeepCopy(), tc.job.Obj().DeepCopy()
			concerned := StampUpdate(tc.old.Obj(), got, floor, LeftAlone{})
			want := sent
			if tc.want != nil {
				want = tc.want.Obj()
			}
			if len(got.Annotations) == 0 {
				got.Annotations = nil
			}
			if diff := cmp.Diff(want, got); diff != "" || concerned != (tc.want != nil) {
				t.Errorf("concerned: %v, -want +got\n%s", concerned, diff)
			}
		})
	}
}
