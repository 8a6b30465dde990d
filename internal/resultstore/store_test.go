package resultstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/retain"
)

func TestStore(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			f := newFixture(kind)
			object := f.object(t, wish)
			bytes := retain.Bytes(object)
			f.counts(t, bytes, 0)
			over := func() bool { return f.Store.Holdings.Over("team") != retain.WithinBudget }

			made, err := f.Store.Create(t.Context(), object)
			if err != nil || made.Verify(f.job, nil) != nil || made.ResourceVersion == "" || !over() {
				t.Fatalf("created %+v, %v, counted: %t", made, err, over())
			}
			got, err := f.Store.Get(t.Context(), kind, keyOf(object))
			if diff := cmp.Diff(made, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Fatalf("%v, -created +got\n%s", err, diff)
			}
			if _, err := f.Store.Create(t.Context(), object); !apierrors.IsAlreadyExists(err) || !strings.Contains(err.Error(), "team/report-results") {
				t.Errorf("created again: %v", err)
			}

			ref := retain.RefOf(kind, got)
			if err := f.Store.Delete(t.Context(), ref, bytes); err != nil || over() {
				t.Fatalf("deleted: %v, counted: %t", err, over())
			}
			if _, err := f.Store.Get(t.Context(), kind, keyOf(object)); !apierrors.IsNotFound(err) {
				t.Errorf("deleted, and there: %v", err)
			}
			f.counts(t, bytes, bytes)
			if err := f.Store.Delete(t.Context(), ref, bytes); !apierrors.IsNotFound(err) || !over() {
				t.Errorf("deleted again: %v, counted: %t", err, over())
			}
		})
	}
}

// What is deleted is what was looked at, in the state in which it was.
func TestDeleteNamesTheState(t *testing.T) {
	for _, kind := range kinds {
		f := newFixture(kind)
		f.there(t, f.object(t, wish))
		ref := retain.RefOf(kind, f.get(t, wish))
		ref.ResourceVersion = "7"
		if err := f.Store.Delete(t.Context(), ref, 1); !apierrors.IsConflict(err) {
			t.Errorf("%s in another state: %v", kind, err)
		}
	}
}

func TestCreateOrGet(t *testing.T) {
	for _, kind := range kinds {
		f := newFixture(kind)
		there := f.object(t, wish)
		there.Labels["team"] = "a"
		f.there(t, there)
		object, err := f.Store.CreateOrGet(t.Context(), f.object(t, wish))
		if err != nil || object.Labels["team"] != "a" {
			t.Errorf("%s: %+v, %v", kind, object, err)
		}
		object, err = f.Store.CreateOrGet(t.Context(), f.object(t, "other"))
		if err != nil || object.Name != "other" {
			t.Errorf("%s: %+v, %v", kind, object, err)
		}
		f.beforeGet = func(key client.ObjectKey) error {
			return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
		}
		if _, err := f.Store.CreateOrGet(t.Context(), f.object(t, wish)); !apierrors.IsConflict(err) {
			t.Errorf("%s that went away meanwhile: %v", kind, err)
		}
	}
}

func TestExplain(t *testing.T) {
	forbidden := func(resource string) error {
		return apierrors.NewForbidden(corev1.Resource(resource), "x", errors.New(`cannot get resource "`+resource+`" in API group ""`))
	}
	for name, tc := range map[string]struct {
		kind string
		err  error
		want bool
	}{
		"no right on Secrets":    {api.ResultsKindSecret, forbidden("secrets"), true},
		"no right on ConfigMaps": {api.ResultsKindConfigMap, forbidden("configmaps"), false},
		"a quota":                {api.ResultsKindSecret, apierrors.NewForbidden(corev1.Resource("secrets"), "x", errors.New("exceeded quota")), false},
		"away":                   {api.ResultsKindSecret, apierrors.NewServiceUnavailable("away"), false},
	} {
		f := newFixture(tc.kind)
		f.beforeGet = func(client.ObjectKey) error { return tc.err }
		f.beforeCreate = func(client.Object) error { return tc.err }
		_, got := f.Store.Get(t.Context(), tc.kind, keyOf(f.object(t, wish)))
		_, created := f.Store.Create(t.Context(), f.object(t, wish))
		const hint = "kubectl create rolebinding job-handler-secret-results -n team --clusterrole=job-handler-secret-results --serviceaccount=operators:job-handler"
		for _, err := range []error{got, created} {
			if !errors.Is(err, tc.err) || strings.Contains(err.Error(), hint) != tc.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
