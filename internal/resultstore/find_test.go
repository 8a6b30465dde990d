package resultstore

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

var (
	errAway      = apierrors.NewServiceUnavailable("away")
	errForbidden = apierrors.NewForbidden(corev1.Resource("configmaps"), "x", errors.New("no"))
)

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		name  string
		there func(t *testing.T, f *fixture)
		// mismatch is what is wrong, other the error for which that is not known.
		mismatch, other error
	}{
		"whole":   {there: func(t *testing.T, f *fixture) { f.there(t, f.object(t, wish)) }},
		"nothing": {mismatch: results.ErrStranger},
		"no name": {name: "-", mismatch: results.ErrStranger},
		"a path":  {name: "../secrets/x", mismatch: results.ErrStranger},
		"an earlier run": {there: func(t *testing.T, f *fixture) {
			o := f.object(t, wish)
			o.Labels[api.JobUIDLabel] = "another"
			f.there(t, o)
		}, mismatch: results.ErrEarlierRun},
		"mutable": {there: func(t *testing.T, f *fixture) {
			o := f.object(t, wish)
			o.Immutable = nil
			f.there(t, o)
		}, mismatch: results.ErrStranger},
		"damaged": {there: func(t *testing.T, f *fixture) {
			o := f.object(t, wish)
			o.Data["x"] = ""
			f.there(t, o)
		}, mismatch: results.ErrDamaged},
		"with parts":     {there: func(t *testing.T, f *fixture) { f.large(t) }},
		"a part is gone": {there: func(t *testing.T, f *fixture) { f.drop(t, f.large(t)[1]) }, mismatch: results.ErrDamaged},
		"a part is another": {there: func(t *testing.T, f *fixture) {
			parts := f.large(t)
			o := f.get(t, parts[1])
			f.drop(t, parts[1])
			o.BinaryData = map[string][]byte{api.DataLogsGzip: []byte("forged")}
			o.ResourceVersion = ""
			f.there(t, o)
		}, mismatch: results.ErrDamaged},
		"a part cannot be read": {there: func(t *testing.T, f *fixture) {
			part := f.large(t)[1]
			f.beforeGet = func(key client.ObjectKey) error {
				if key.Name == part {
					return errAway
				}
				return nil
			}
		}, other: errAway},
		"away":      {there: func(_ *testing.T, f *fixture) { f.beforeGet = func(client.ObjectKey) error { return errAway } }, other: errAway},
		"no rights": {there: func(_ *testing.T, f *fixture) { f.beforeGet = func(client.ObjectKey) error { return errForbidden } }, other: errForbidden},
	}
	for name, tc := range tests {
		for _, kind := range kinds {
			t.Run(name+" in a "+kind, func(t *testing.T) {
				f := newFixture(kind)
				if tc.there != nil {
					tc.there(t, f)
				}
				called := wish
				if tc.name != "" {
					called = tc.name
				}
				err := f.Store.Check(t.Context(), f.job, kind, called)
				if results.IsMismatch(err) != (tc.mismatch != nil) || !errors.Is(err, tc.mismatch) && tc.mismatch != nil || !errors.Is(err, tc.other) && tc.other != nil {
					t.Errorf("%v, want %v%v", err, tc.mismatch, tc.other)
				}
				if err != nil && tc.mismatch == nil && tc.other == nil {
					t.Error(err)
				}
			})
		}
	}
}

// large stores results with parts, and returns the names of these.
func (f *fixture) large(t *testing.T) []string {
	t.Helper()
	f.MaxBytes = 4 << 20
	if _, err := f.Write(t.Context(), f.run(noise(2<<20)), f.to()); err != nil {
		t.Fatal(err)
	}
	list, err := f.get(t, wish).Parts()
	if err != nil || len(list.Parts) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	var parts []string
	for _, part := range list.Parts {
		parts = append(parts, part.Name)
	}
	return parts
}

// drop deletes an object.
func (f *fixture) drop(t *testing.T, name string) {
	t.Helper()
	if err := f.Store.Delete(t.Context(), retain.RefOf(f.kind, f.get(t, name)), 0); err != nil {
		t.Fatal(err)
	}
}

func TestLost(t *testing.T) {
	candidates := names.Candidates(wish, jobUID)
	tests := map[string]struct {
		there func(t *testing.T, f *fixture)
		lost  bool
		err   error
	}{
		"nothing":                  {lost: true},
		"under its name":           {there: func(t *testing.T, f *fixture) { f.there(t, f.object(t, candidates[0])) }},
		"under another":            {there: func(t *testing.T, f *fixture) { f.there(t, f.object(t, candidates[1])) }},
		"under the last":           {there: func(t *testing.T, f *fixture) { f.there(t, f.object(t, candidates[2])) }},
		"under nobody's":           {there: func(t *testing.T, f *fixture) { f.there(t, f.object(t, "x")) }, lost: true},
		"damaged":                  {there: func(t *testing.T, f *fixture) { o := f.object(t, wish); o.Data["x"] = ""; f.there(t, o) }, lost: true},
		"that may not be read":     {there: func(_ *testing.T, f *fixture) { f.beforeGet = func(client.ObjectKey) error { return errForbidden } }, lost: true},
		"while the server is away": {there: func(_ *testing.T, f *fixture) { f.beforeGet = func(client.ObjectKey) error { return errAway } }, err: errAway},
	}
	for name, tc := range tests {
		for _, kind := range kinds {
			t.Run(strings.Join([]string{name, "in a", kind}, " "), func(t *testing.T) {
				f := newFixture(kind)
				if tc.there != nil {
					tc.there(t, f)
				}
				lost, err := f.Store.Lost(t.Context(), f.job, kind, wish)
				if lost != tc.lost || !errors.Is(err, tc.err) {
					t.Errorf("lost: %t, %v", lost, err)
				}
			})
		}
	}
}
