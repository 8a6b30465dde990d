package jobpatch

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/job-handler/job-handler/internal/jobtest"
)

const guard = `"uid":"job-uid","resourceVersion":"42"`

func observed() *batchv1.Job {
	job := jobtest.MakeJob("team", "report").UID("job-uid").TTL(3600).
		Annotation("team", "a").Annotation("job-handler/ttl-seconds-after-finished", "10").Obj()
	job.ResourceVersion = "42"
	return job
}

func TestPatch(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*batchv1.Job)
		want   string
	}{
		"nothing":            {func(*batchv1.Job) {}, `{"metadata":{` + guard + `}}`},
		"an annotation more": {func(job *batchv1.Job) { job.Annotations["b"] = "c" }, `{"metadata":{` + guard + `,"annotations":{"b":"c"}}}`},
		"an annotation less": {func(job *batchv1.Job) { delete(job.Annotations, "team") }, `{"metadata":{` + guard + `,"annotations":{"team":null}}}`},
		"another value":      {func(job *batchv1.Job) { job.Annotations["team"] = "é\"\n" }, `{"metadata":{` + guard + `,"annotations":{"team":"é\"\n"}}}`},
		"the first label":    {func(job *batchv1.Job) { job.Labels = map[string]string{"a": ""} }, `{"metadata":{` + guard + `,"labels":{"a":""}}}`},
		"every annotation": {
			func(job *batchv1.Job) { job.Annotations = nil },
			`{"metadata":{` + guard + `,"annotations":{"team":null,"job-handler/ttl-seconds-after-finished":null}}}`,
		},
		"a TTL": {
			func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(math.MaxInt32)) },
			`{"metadata":{` + guard + `},"spec":{"ttlSecondsAfterFinished":2147483647}}`,
		},
		"a TTL of zero": {
			func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(0)) },
			`{"metadata":{` + guard + `},"spec":{"ttlSecondsAfterFinished":0}}`,
		},
		"no TTL": {
			func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = nil },
			`{"metadata":{` + guard + `},"spec":{"ttlSecondsAfterFinished":null}}`,
		},
		"the template's label": {
			func(job *batchv1.Job) { job.Spec.Template.Labels = map[string]string{"a": "b"} },
			`{"metadata":{` + guard + `},"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}`,
		},
		"a resourceVersion that a caller set": {
			func(job *batchv1.Job) { job.ResourceVersion = "43" }, `{"metadata":{` + guard + `}}`,
		},
		"a UID that a caller set": {func(job *batchv1.Job) { job.UID = "another-uid" }, `{"metadata":{` + guard + `}}`},
	} {
		t.Run(name, func(t *testing.T) {
			from := observed()
			to := from.DeepCopy()
			test.change(to)
			beforeFrom, beforeTo := from.DeepCopy(), to.DeepCopy()
			got, err := From(from).Data(to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, []byte(test.want)), parse(t, got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff([]*batchv1.Job{beforeFrom, beforeTo}, []*batchv1.Job{from, to}); diff != "" {
				t.Errorf("the Jobs themselves changed:\n%s", diff)
			}
		})
	}
}

func TestPatchType(t *testing.T) {
	if got := From(observed()).Type(); got != types.MergePatchType {
		t.Errorf("got %s", got)
	}
}

func TestPatchWithoutResourceVersion(t *testing.T) {
	from := observed()
	from.ResourceVersion = ""
	_, err := From(from).Data(from.DeepCopy())
	cause := errors.Unwrap(err)
	if cause == nil {
		t.Fatalf("got %v, want no patch without a guard, and why", err)
	}
	if want := "computing the patch of job team/report: " + cause.Error(); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// What a patch brings about is the Job that was wanted, and on a Job that has
// changed meanwhile nothing.
func TestPatchApplies(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(observed()).Build()
	key := client.ObjectKeyFromObject(observed())
	old := &batchv1.Job{}
	if err := c.Get(t.Context(), key, old); err != nil {
		t.Fatal(err)
	}
	wanted := old.DeepCopy()
	delete(wanted.Annotations, "team")
	wanted.Spec.TTLSecondsAfterFinished = nil
	if err := c.Patch(t.Context(), wanted.DeepCopy(), From(old)); err != nil {
		t.Fatal(err)
	}
	got := &batchv1.Job{}
	if err := c.Get(t.Context(), key, got); err != nil {
		t.Fatal(err)
	}
	wanted.ResourceVersion = got.ResourceVersion
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := c.Patch(t.Context(), old.DeepCopy(), From(old)); !apierrors.IsConflict(err) {
		t.Errorf("a patch of an old state: got %v, want a conflict", err)
	}
}

func TestPatchHoldsOnlyTheDifference(t *testing.T) {
	maps := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c/d"}), rapid.String(), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		from := observed()
		from.Annotations, from.Labels = maps.Draw(t, "annotations"), maps.Draw(t, "labels")
		to := from.DeepCopy()
		to.Annotations = maps.Draw(t, "new annotations")
		data, err := From(from).Data(to)
		if err != nil {
			t.Fatal(err)
		}
		var patch struct {
			Metadata struct {
				UID, ResourceVersion string
				Labels               map[string]*string
				Annotations          map[string]*string
			}
			Spec map[string]any
		}
		if err := json.Unmarshal(data, &patch); err != nil {
			t.Fatal(err)
		}
		if patch.Metadata.UID != "job-uid" || patch.Metadata.ResourceVersion != "42" {
			t.Fatalf("%s has no guard", data)
		}
		if patch.Metadata.Labels != nil || patch.Spec != nil {
			t.Fatalf("%s holds what did not change", data)
		}
		for key, value := range patch.Metadata.Annotations {
			old, had := from.Annotations[key]
			if value == nil && !had || value != nil && had && *value == old {
				t.Fatalf("%s holds %s, which did not change", data, key)
			}
		}
	})
}

func parse(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var parsed map[string]any
	if err := json.Unmarshal(data, &parsed); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return parsed
}
