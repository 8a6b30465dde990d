package jobpatch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// A patch that is made from what a cache keeps changes what was to change, and
// nothing that was dropped.
func TestPatchOfAPrunedJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := jobtest.MakeJob("team", "report").UID("job-uid").TTL(3600)
		for _, key := range []string{api.StatusAnnotation, api.CaptureAnnotation, api.TTLAnnotation, "note", "other/note"} {
			if rapid.Bool().Draw(t, key) {
				b.Annotation(key, "5")
			}
		}
		for _, key := range []string{api.EnabledLabel, "app", "team"} {
			if rapid.Bool().Draw(t, key) {
				b.Label(key, "true")
			}
		}
		for i := range rapid.SampledFrom([]int{0, 1, 3, 31, 32, 33, 50}).Draw(t, "finalizers") {
			b.Finalizer(fmt.Sprintf("example.com/%d", i))
		}
		if rapid.Bool().Draw(t, "protected") {
			b.Finalizer(api.ResultsFinalizer)
		}
		for i := range rapid.SampledFrom([]int{0, 1, 20}).Draw(t, "owners") {
			b.OwnedBy("v1", "ConfigMap", fmt.Sprintf("owner-%d", i), "uid")
		}
		c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(b.Obj()).Build()
		key := client.ObjectKeyFromObject(b.Obj())
		whole := &batchv1.Job{}
		if err := c.Get(t.Context(), key, whole); err != nil {
			t.Fatal(err)
		}
		wanted, pruned := whole.DeepCopy(), whole.DeepCopy()
		policy.Keep(pruned, policy.Defaults{})
		desired := pruned.DeepCopy()
		protect := rapid.Bool().Draw(t, "protect")
		for _, job := range []*batchv1.Job{wanted, desired} {
			delete(job.Annotations, api.StatusAnnotation)
			delete(job.Annotations, api.CaptureAnnotation)
			delete(job.Labels, api.EnabledLabel)
			policy.Protect(job, protect)
			job.Spec.TTLSecondsAfterFinished = new(int32(7))
		}
		if err := c.Patch(t.Context(), desired, From(pruned)); err != nil {
			t.Fatal(err)
		}
		got := &batchv1.Job{}
		if err := c.Get(t.Context(), key, got); err != nil {
			t.Fatal(err)
		}
		wanted.ResourceVersion = got.ResourceVersion
		for _, job := range []*batchv1.Job{wanted, got} {
			slices.Sort(job.Finalizers)
			job.Annotations, job.Labels = orNil(job.Annotations), orNil(job.Labels)
			if len(job.Finalizers) == 0 {
				job.Finalizers = nil
			}
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	})
}

func orNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// What a Namespace has besides stays too when the last annotation of ours goes.
func TestPatchOfAPrunedNamespace(t *testing.T) {
	namespace := policy.NewNamespace()
	namespace.Name, namespace.UID, namespace.ResourceVersion = "team", "namespace-uid", "42"
	namespace.Labels = map[string]string{"team": "a", api.EnabledLabel: api.True}
	namespace.Annotations = map[string]string{"note": "a", api.EnabledMirroredAnnotation: api.True}
	policy.Keep(namespace, policy.Defaults{})
	desired := namespace.DeepCopy()
	desired.Labels = nil
	delete(desired.Annotations, api.EnabledMirroredAnnotation)
	data, err := FromNamespace(namespace).Data(desired)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"uid":"namespace-uid","resourceVersion":"42",` +
		`"labels":{"job-handler/enabled":null},"annotations":{"job-handler/enabled-mirrored":null}}}`
	if diff := cmp.Diff(parse(t, []byte(want)), parse(t, data)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if FromNamespace(&metav1.PartialObjectMetadata{}).Type() != From(&batchv1.Job{}).Type() {
		t.Error("another type of patch")
	}
}
