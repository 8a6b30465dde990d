package release

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

func TestReleaseNamespace(t *testing.T) {
	const since = "2026-11-01T00:00:00Z"
	label, mirror := "label job-handler/enabled removed", "annotation job-handler/enabled-mirrored removed"
	from := "annotation job-handler/enabled-since removed"
	for name, test := range map[string]struct {
		namespace *jobtest.NamespaceBuilder
		want      *jobtest.NamespaceBuilder
		done      []string
	}{
		"never opted in": {namespace: namespace()},
		"a user's own label": {
			namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledSinceAnnotation, since),
			namespace().Label(api.EnabledLabel, api.True),
			[]string{from},
		},
		"a user's own label, not seen yet": {namespace: namespace().Label(api.EnabledLabel, api.True)},
		"a mirrored label": {
			namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledAnnotation, api.True).
				Annotation(api.EnabledMirroredAnnotation, api.True).Annotation(api.EnabledSinceAnnotation, since),
			namespace().Annotation(api.EnabledAnnotation, api.True),
			[]string{label, mirror, from},
		},
		"a mirrored label that a user changed": {
			namespace().Label(api.EnabledLabel, api.False).Annotation(api.EnabledMirroredAnnotation, api.True),
			namespace().Label(api.EnabledLabel, api.False),
			[]string{mirror},
		},
		"a mark that is not the manager's": {
			namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledMirroredAnnotation, "yes"),
			namespace().Label(api.EnabledLabel, api.True),
			[]string{mirror},
		},
		"a user's defaults": {namespace: namespace().Annotation(api.ResultsTTLAnnotation, "1d")},
	} {
		t.Run(name, func(t *testing.T) {
			object := metadataOf(test.namespace)
			before := object.DeepCopy()
			desired, done := releaseNamespace(object)
			if diff := cmp.Diff(before, object); diff != "" {
				t.Fatalf("the Namespace itself changed:\n%s", diff)
			}
			if diff := cmp.Diff(test.done, done); diff != "" {
				t.Errorf("said: -want +got\n%s", diff)
			}
			if holdsNamespace(object) != (test.want != nil) {
				t.Errorf("holds: %t", holdsNamespace(object))
			}
			if test.want == nil {
				if desired != nil {
					t.Errorf("changed to %v", desired.ObjectMeta)
				}
				return
			}
			want := metadataOf(test.want)
			if !cmp.Equal(want.Labels, desired.Labels) && len(want.Labels)+len(desired.Labels) > 0 {
				t.Errorf("labels %v, want %v", desired.Labels, want.Labels)
			}
			if diff := cmp.Diff(want.Annotations, desired.Annotations); diff != "" {
				t.Errorf("annotations: -want +got\n%s", diff)
			}
			if again, _ := releaseNamespace(desired); again != nil {
				t.Error("released twice")
			}
		})
	}
}

func namespace() *jobtest.NamespaceBuilder {
	return jobtest.MakeNamespace("team").Label("team", "a").Annotation("team", "a")
}

func metadataOf(builder *jobtest.NamespaceBuilder) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: *builder.Obj().ObjectMeta.DeepCopy()}
}

func TestReleaseJob(t *testing.T) {
	const gone = "annotation job-handler/ttl-seconds-after-finished removed"
	const lost = "its results are not stored and are lost when Kubernetes deletes it"
	ended := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	raised := func() *jobtest.JobBuilder {
		return jobtest.MakeJob("team", "report").TTL(3600).Annotation(api.TTLAnnotation, "60;raised=3600")
	}
	held := func(builder *jobtest.JobBuilder) *jobtest.JobBuilder {
		builder.Obj().Finalizers = []string{api.ResultsFinalizer}
		return builder
	}
	for name, test := range map[string]struct {
		job  *jobtest.JobBuilder
		ttl  *int32
		done []string
	}{
		"nothing of ours": {job: jobtest.MakeJob("team", "report").TTL(60).Label(api.EnabledLabel, api.True), ttl: new(int32(60))},
		"a raised TTL": {
			raised(), new(int32(60)),
			[]string{"ttlSecondsAfterFinished put back from 3600 to 60", gone},
		},
		"a TTL that was taken away": {
			jobtest.MakeJob("team", "report").Annotation(api.TTLAnnotation, "60;raised=3600"), nil, []string{gone},
		},
		"a TTL that the user changed": {
			jobtest.MakeJob("team", "report").TTL(86400).Annotation(api.TTLAnnotation, "60;raised=3600"), new(int32(86400)), []string{gone},
		},
		"a raised TTL of the previous version": {
			jobtest.MakeJob("team", "report").TTL(3600).Annotation(api.TTLAnnotation, "60"), new(int32(60)),
			[]string{"ttlSecondsAfterFinished put back from 3600 to 60", gone},
		},
		"a record that says nothing": {
			jobtest.MakeJob("team", "report").TTL(3600).Annotation(api.TTLAnnotation, "soon"), new(int32(3600)), []string{gone},
		},
		"a finalizer": {held(jobtest.MakeJob("team", "report")), nil, []string{"finalizer job-handler/results removed"}},
		"a finished Job that loses its results": {
			raised().Completed(ended), new(int32(60)),
			[]string{"ttlSecondsAfterFinished put back from 3600 to 60", gone, lost},
		},
		"a finished Job that is kept": {
			held(jobtest.MakeJob("team", "report")).Completed(ended), nil, []string{"finalizer job-handler/results removed"},
		},
		"a stored Job": {
			raised().Completed(ended).Annotation(api.StatusAnnotation, api.StatusCompleted), new(int32(60)),
			[]string{"ttlSecondsAfterFinished put back from 3600 to 60", gone},
		},
	} {
		t.Run(name, func(t *testing.T) {
			desired, done := releaseJob(test.job.Obj())
			if diff := cmp.Diff(test.done, done); diff != "" {
				t.Errorf("said: -want +got\n%s", diff)
			}
			if (desired == nil) != (test.done == nil) {
				t.Fatalf("got %v", desired)
			}
			if desired != nil && !ptr.Equal(test.ttl, desired.Spec.TTLSecondsAfterFinished) {
				t.Errorf("TTL %v", desired.Spec.TTLSecondsAfterFinished)
			}
		})
	}
	t.Run("a finished Job that is being deleted", func(t *testing.T) {
		job := held(jobtest.MakeJob("team", "report")).Completed(ended).Obj()
		job.DeletionTimestamp = &metav1.Time{Time: ended}
		if _, done := releaseJob(job); len(done) != 2 || done[1] != lost {
			t.Errorf("said %q", done)
		}
	})
	if shown((&batchv1.Job{}).Spec.TTLSecondsAfterFinished) != "none" {
		t.Error("no TTL is not none")
	}
}

func TestSummary(t *testing.T) {
	for name, test := range map[string]struct {
		namespaces, jobs counts
		dryRun           bool
		want             string
	}{
		"an empty cluster": {want: "Nothing to release: checked 0 Namespaces and 0 Jobs"},
		"nothing to do":    {namespaces: counts{seen: 4}, jobs: counts{seen: 1}, want: "Nothing to release: checked 4 Namespaces and 1 Job"},
		"some": {
			namespaces: counts{seen: 4, changed: 1}, jobs: counts{seen: 10, changed: 2},
			want: "Released 1 Namespace and 2 Jobs: checked 4 Namespaces and 10 Jobs",
		},
		"failures, in a dry run": {
			namespaces: counts{seen: 4}, jobs: counts{seen: 10, failed: 2}, dryRun: true,
			want: "Released 0 Namespaces and 0 Jobs: checked 4 Namespaces and 10 Jobs, 2 failed (dry run)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			(&report{out: &out, dryRun: test.dryRun}).summary(test.namespaces, test.jobs)
			if diff := cmp.Diff(test.want+"\n", out.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
