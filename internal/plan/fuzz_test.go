package plan

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// FuzzDecide reads any Job, at any time, and holds the guards that nothing a
// user writes may open.
func FuzzDecide(f *testing.F) {
	for _, b := range []*jobtest.JobBuilder{
		stamped(), stored(done()), stored(failed()), done().TTL(0), stored(byCronJob().Completed(finished)),
		stored(done()).Annotation(api.CaptureAnnotation, kept).OwnedBy("v1", "Pod", "p", "u"),
		stored(done()).Annotation(api.TTLAnnotation, "\u0663").Annotation(api.DeleteAfterSuccessAnnotation, "0s\x1b"),
		makeJob().Suspended().TTL(-1).Annotation(api.StatusAnnotation, "completed"),
	} {
		raw, err := json.Marshal(b.Obj())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, int64(time.Hour), int64(0), false, api.DeleteAfterSuccessAnnotation, "0s")
	}
	f.Add([]byte(`{"status":{"conditions":[{"type":"Complete","status":"True"}]}}`), int64(math.MaxInt64), int64(math.MinInt64), true, "", "")
	f.Fuzz(func(t *testing.T, raw []byte, least, since int64, unstored bool, key, value string) {
		job := &batchv1.Job{}
		if json.Unmarshal(raw, job) != nil {
			return
		}
		p, _ := policy.Resolve(job, map[string]string{key: value}, policy.Defaults{})
		o := Observation{Job: job, Policy: p, TTLFloor: time.Duration(least), Unstored: unstored}
		before := job.DeepCopy()
		decision := Decide(o, finished.Add(time.Duration(since)))
		if diff := cmp.Diff(before, job); diff != "" {
			t.Fatalf("the observed Job changed:\n%s", diff)
		}
		checkGuards(t, o, decision)
		checkOnlyOurs(t, job, decision.Desired)
		checkOnlyOurs(t, job, Release(job))
		if jobstatus.Of(job).Finished() {
			checkOnlyOurs(t, job, Report(o, "x-results", api.CaptureComplete))
		}
	})
}

func checkGuards(t *testing.T, o Observation, decision Decision) {
	t.Helper()
	finished, asked := jobstatus.Of(o.Job).Finished(), o.Policy.DeleteAfterSuccess.Source == policy.SourceJob ||
		o.Policy.DeleteAfterFailure.Source == policy.SourceJob
	switch decision.Action {
	case Delete:
		if !finished || o.Unstored || !Stored(o.Job) || o.Job.DeletionTimestamp != nil || decision.Desired != nil {
			t.Fatalf("deleted: %+v", decision)
		}
		if !OwnershipOf(o.Job, policy.LeftAlone{}).Ours && !asked {
			t.Fatalf("deleted, though %s", OwnershipOf(o.Job, policy.LeftAlone{}).Why)
		}
	case Store:
		if !finished {
			t.Fatalf("stored before it finished: %+v", decision)
		}
	case Change:
		if decision.Desired == nil {
			t.Fatal("a change to nothing")
		}
		if again := Decide(Observation{Job: decision.Desired, Policy: o.Policy, TTLFloor: o.TTLFloor}, now); again.Action == Change &&
			cmp.Equal(again.Desired, decision.Desired) {
			t.Fatalf("changed to what it is: %s", again.Why)
		}
	case Leave, Wait:
		if decision.Desired != nil || finished && (o.Unstored || !Stored(o.Job)) {
			t.Fatalf("left unstored: %+v", decision)
		}
	default:
		t.Fatalf("action %q", decision.Action)
	}
}

// checkOnlyOurs wants desired, which may be nil, to differ from job in what is
// ours alone.
func checkOnlyOurs(t *testing.T, job, desired *batchv1.Job) {
	t.Helper()
	if desired == nil {
		return
	}
	if ttl := desired.Spec.TTLSecondsAfterFinished; ttl != nil && *ttl < 0 && !cmp.Equal(ttl, job.Spec.TTLSecondsAfterFinished) {
		t.Fatalf("a TTL of %d", *ttl)
	}
	if diff := cmp.Diff(withoutOurs(job), withoutOurs(desired)); diff != "" {
		t.Fatalf("not ours to change:\n%s", diff)
	}
}

func withoutOurs(job *batchv1.Job) *batchv1.Job {
	job = job.DeepCopy()
	job.Spec.TTLSecondsAfterFinished = nil
	job.Finalizers = slices.DeleteFunc(job.Finalizers, func(name string) bool { return name == api.ResultsFinalizer })
	if len(job.Finalizers) == 0 {
		job.Finalizers = nil
	}
	for _, meta := range []*metav1.ObjectMeta{&job.ObjectMeta, &job.Spec.Template.ObjectMeta} {
		for _, m := range []*map[string]string{&meta.Labels, &meta.Annotations} {
			for key := range *m {
				if strings.HasPrefix(key, api.Prefix) {
					delete(*m, key)
				}
			}
			if len(*m) == 0 {
				*m = nil
			}
		}
	}
	return job
}
