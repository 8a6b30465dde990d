package resultstore

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

func TestWriteFindsAName(t *testing.T) {
	last := names.Candidates(wish, jobUID)[2]
	earlier := func(o *results.Object) { o.Labels[api.JobUIDLabel] = "another" }
	foreign := func(o *results.Object) { o.Labels = nil }
	damaged := func(o *results.Object) { o.Data["x"] = "" }
	tests := map[string]struct {
		// there is what is under the names already.
		there    map[string]func(*results.Object)
		want     string
		warnings []string
		err      string
	}{
		"free":           {want: wish},
		"an earlier run": {there: map[string]func(*results.Object){wish: earlier}, want: first},
		"not ours": {there: map[string]func(*results.Object){wish: foreign}, want: first, warnings: []string{
			"report-results cannot hold the results (not results of this Job: no label job-handler/created=true); they get another name",
		}},
		"damaged, then an earlier run": {
			there: map[string]func(*results.Object){wish: damaged, first: earlier}, want: last,
			warnings: []string{"report-results cannot hold the results (damaged results of this run"},
		},
		"adopted": {there: map[string]func(*results.Object){wish: func(*results.Object) {}}, want: wish},
		"all taken": {
			there: map[string]func(*results.Object){wish: earlier, first: earlier, last: earlier},
			err:   "every name for the results is taken: " + wish + ", " + first + ", " + last,
		},
	}
	for name, tc := range tests {
		for _, kind := range kinds {
			t.Run(name+" in a "+kind, func(t *testing.T) {
				f := newFixture(kind)
				for called, change := range tc.there {
					o := f.object(t, called)
					change(o)
					f.there(t, o)
				}
				stored, err := f.Write(t.Context(), f.run("hello\n"), f.to())
				if tc.err != "" {
					var taken *NameConflictError
					if !errors.As(err, &taken) || err.Error() != tc.err {
						t.Error(err)
					}
					return
				}
				if err != nil || stored.String() != kind+" "+tc.want || !stored.Capture.Complete || stored.Bytes == 0 {
					t.Fatalf("%+v, %v", stored, err)
				}
				if err := f.get(t, tc.want).Verify(f.job, nil); err != nil {
					t.Error(err)
				}
				if len(f.warnings) != len(tc.warnings) {
					t.Errorf("warnings %q", f.warnings)
				}
				for i, want := range tc.warnings {
					if !strings.HasPrefix(f.warnings[i], kind+" "+want) {
						t.Errorf("warning %q, want %q", f.warnings[i], want)
					}
				}
			})
		}
	}
}

// Results that are there are adopted if they are about the pods.
func TestWriteLooksForPods(t *testing.T) {
	f := newFixture(api.ResultsKindConfigMap)
	f.there(t, f.object(t, wish))
	to := f.to()
	to.Pods = []types.UID{"unknown"}
	if stored, err := f.Write(t.Context(), f.run("hello\n"), to); err == nil || stored != nil {
		t.Errorf("%+v of a run without the pod", stored)
	}
}

func TestWriteChecksWhatTheServerMadeOfIt(t *testing.T) {
	for _, kind := range kinds {
		f := newFixture(kind)
		f.beforeCreate = func(object client.Object) error {
			if object.GetName() == wish {
				object.GetAnnotations()[api.SHA256Annotation] = "changed"
			}
			return nil
		}
		stored, err := f.Write(t.Context(), f.run("hello\n"), f.to())
		if err != nil || stored.Name != first || len(f.warnings) != 1 {
			t.Errorf("%+v, %v, warned: %q", stored, err, f.warnings)
		}
	}
}

func TestWriteIsSmallerWhereResultsAreTooLarge(t *testing.T) {
	tooLarge := &apierrors.StatusError{}
	tooLarge.ErrStatus.Code = http.StatusRequestEntityTooLarge
	for _, kind := range kinds {
		for limit, want := range map[int64]string{
			900 << 10: "256Ki", 100 << 10: "32Ki", 1 << 10: "",
		} {
			f := newFixture(kind)
			f.beforeCreate = func(object client.Object) error {
				if retain.Bytes(object) > limit {
					return tooLarge
				}
				return nil
			}
			stored, err := f.Write(t.Context(), f.run(noise(2<<20)), f.to())
			if want == "" {
				if !errors.Is(err, tooLarge) {
					t.Errorf("%+v, %v", stored, err)
				}
				continue
			}
			most := map[string]int{"256Ki": 256 << 10, "32Ki": 32 << 10}[want]
			if err != nil || stored.Bytes > most || stored.Bytes < most/2 || stored.Capture.Complete {
				t.Errorf("%+v, %v, want %s", stored, err, want)
			}
		}
	}
}

func TestWriteStoresPartsFirst(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			f := newFixture(kind)
			var made []string
			f.beforeCreate = func(object client.Object) error { made = append(made, object.GetName()); return nil }
			parts := f.large(t)
			if diff := cmp.Diff(append(parts, wish), made); diff != "" {
				t.Errorf("-want +created\n%s", diff)
			}
			made = nil
			if again := f.large(t); !cmp.Equal(parts, again) || len(made) > 0 {
				t.Errorf("stored again: %q, created %q", again, made)
			}
			f.drop(t, parts[1])
			if again := f.large(t); !cmp.Equal(parts, again) || f.Store.Check(t.Context(), f.job, kind, wish) != nil {
				t.Errorf("the lost part is not there again: %q, created %q", again, made)
			}
		})
	}
}

// A part whose name is taken gets another, and is listed under it.
func TestWriteFindsNamesForParts(t *testing.T) {
	f := newFixture(api.ResultsKindConfigMap)
	parts := f.large(t)
	f.drop(t, wish)
	forged := f.get(t, parts[0])
	f.drop(t, parts[0])
	forged.Immutable, forged.ResourceVersion = nil, ""
	f.there(t, forged)
	again := f.large(t)
	if again[0] == parts[0] || !cmp.Equal(again[1:], parts[1:]) {
		t.Errorf("%q, before %q", again, parts)
	}
	if len(f.warnings) != 1 || !strings.Contains(f.warnings[0], parts[0]+" cannot hold a part of the results") {
		t.Errorf("warnings %q", f.warnings)
	}
}

// An object that goes away while it is adopted is a conflict: its name is free then.
func TestWriteWhileAnObjectGoes(t *testing.T) {
	f := newFixture(api.ResultsKindConfigMap)
	f.there(t, f.object(t, wish))
	f.beforeGet = func(key client.ObjectKey) error {
		return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
	}
	if _, err := f.Write(t.Context(), f.run("hello\n"), f.to()); !apierrors.IsConflict(err) {
		t.Error(err)
	}
}

func TestWriteKeepsLittleAboveABudget(t *testing.T) {
	f := newFixture(api.ResultsKindConfigMap)
	f.counts(t, 1<<10, 1<<10)
	for _, name := range []string{"one", "two"} {
		stored, err := f.Write(t.Context(), f.run(noise(1<<20)), Target{Kind: f.kind, Name: name})
		if err != nil || stored.Capture.Complete || stored.Totals.KeptBytes > shrunkLogBytes || !strings.HasPrefix(stored.Capture.Why, results.ReasonNamespaceBudget) {
			t.Errorf("%+v, %v", stored, err)
		}
	}
	want := []string{"The results in namespace team take 1Ki (--max-results-bytes-per-namespace) or more. Only 16Ki of logs is stored " +
		"for each new Job until results are deleted; annotation job-handler/results-ttl makes results expire"}
	if diff := cmp.Diff(want, f.warnings); diff != "" {
		t.Errorf("warned once: -want +got\n%s", diff)
	}
}

func TestMost(t *testing.T) {
	for max, want := range map[int][]int{
		0:                {api.MaxResultsBytes, 256 << 10, results.MinBytes},
		4 << 20:          {4 << 20, api.MaxResultsBytes, 256 << 10, results.MinBytes},
		100 << 10:        {100 << 10, results.MinBytes},
		results.MinBytes: {results.MinBytes},
		256<<10 + 1:      {256<<10 + 1, 256 << 10, results.MinBytes},
	} {
		w := &Writer{MaxBytes: max}
		var got []int
		for size, ok := w.Most(), true; ok; size, ok = Smaller(size) {
			got = append(got, size)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at most %d: -want +got\n%s", max, diff)
		}
	}
}

func TestCaptureValue(t *testing.T) {
	for want, summary := range map[string]results.Summary{
		"complete":                              {Complete: true},
		"incomplete: RotatedHead":               {Why: "RotatedHead"},
		"incomplete: Job kept: NodeUnreachable": {Why: "NodeUnreachable", Retryable: true},
	} {
		if got := (&Stored{Capture: summary}).CaptureValue(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What counts is what is stored, which may be of an earlier pass.
func TestWriteTellsWhatIsStored(t *testing.T) {
	f := newFixture(api.ResultsKindConfigMap)
	incomplete := f.run("hello\n")
	incomplete.Pods[0].Logs[0].Capture = results.Capture{Reason: results.ReasonNodeUnreachable}
	before, err := f.Write(t.Context(), incomplete, f.to())
	if err != nil || before.Capture.Complete {
		t.Fatalf("%+v, %v", before, err)
	}
	after, err := f.Write(t.Context(), f.run("hello\n"), f.to())
	if err != nil || after.Capture != before.Capture {
		t.Errorf("stored %+v, told %+v, %v", before, after, err)
	}
	got := captureOf(&results.Object{Data: map[string]string{api.DataJobJSON: "{"}})
	if got.Complete || !got.Retryable || got.Why == "" {
		t.Errorf("got %+v, want the Job kept, and why", got)
	}
}
