package namespace

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
)

const since = "2026-11-03T10:00:00Z"

// Later than since, in another zone and not on a whole second.
var now = time.Date(2026, 11, 3, 14, 30, 15, 999, time.FixedZone("", 2*60*60))

const nowText = "2026-11-03T12:30:15Z"

func labelled(value string) map[string]string { return map[string]string{api.EnabledLabel: value} }

// annotated is made of pairs of a key's short form and a value.
func annotated(pairs ...string) map[string]string {
	annotations := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		annotations[api.Prefix+pairs[i]] = pairs[i+1]
	}
	return annotations
}

func TestMirror(t *testing.T) {
	type metadata struct{ Labels, Annotations map[string]string }
	for name, test := range map[string]struct {
		from metadata
		// want is nil where nothing changes.
		want *metadata
	}{
		"nothing set":                     {},
		"an annotation that says no":      {from: metadata{nil, annotated("enabled", "false")}},
		"an annotation that says nothing": {from: metadata{nil, annotated("enabled", "yes")}},
		"a label that says no":            {from: metadata{labelled("false"), nil}},
		"a label that says nothing":       {from: metadata{labelled("yes"), nil}},
		"the user's label, seen before":   {from: metadata{labelled("true"), annotated("enabled-since", since)}},
		"mirrored before":                 {from: metadata{labelled("true"), annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", since)}},
		"both by the user":                {from: metadata{labelled("true"), annotated("enabled", "true", "enabled-since", since)}},
		"the label beats the annotation":  {from: metadata{labelled("false"), annotated("enabled", "true")}},
		"the user's label, annotation no": {from: metadata{labelled("true"), annotated("enabled", "false", "enabled-since", since)}},
		"a mark that says nothing":        {from: metadata{labelled("true"), annotated("enabled-mirrored", "yes", "enabled-since", since)}},

		"an annotation": {
			metadata{nil, annotated("enabled", "true")},
			&metadata{labelled("true"), annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", nowText)},
		},
		"an annotation, opted in before": {
			metadata{nil, annotated("enabled", "true", "enabled-since", since)},
			&metadata{labelled("true"), annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", since)},
		},
		"an annotation, the label taken away": {
			metadata{nil, annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", since)},
			&metadata{labelled("true"), annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", since)},
		},
		"the user's label, new": {
			metadata{labelled("true"), nil},
			&metadata{labelled("true"), annotated("enabled-since", nowText)},
		},
		"a time that is none": {
			metadata{labelled("true"), annotated("enabled-since", "yesterday")},
			&metadata{labelled("true"), annotated("enabled-since", nowText)},
		},
		"an empty time": {
			metadata{labelled("true"), annotated("enabled-since", "")},
			&metadata{labelled("true"), annotated("enabled-since", nowText)},
		},
		"mirrored, the annotation taken away": {
			metadata{labelled("true"), annotated("enabled-mirrored", "true", "enabled-since", since)},
			&metadata{map[string]string{}, map[string]string{}},
		},
		"mirrored, the annotation says no": {
			metadata{labelled("true"), annotated("enabled", "false", "enabled-mirrored", "true", "enabled-since", since)},
			&metadata{map[string]string{}, annotated("enabled", "false")},
		},
		"mirrored, then the user's own no": {
			metadata{labelled("false"), annotated("enabled", "true", "enabled-mirrored", "true", "enabled-since", since)},
			&metadata{labelled("false"), annotated("enabled", "true")},
		},
		"mirrored, all of the user's taken away": {
			metadata{nil, annotated("enabled-mirrored", "true", "enabled-since", since)},
			&metadata{nil, map[string]string{}},
		},
		"mirrored, a label that is not ours": {
			metadata{labelled("false"), annotated("enabled-mirrored", "true")},
			&metadata{labelled("false"), map[string]string{}},
		},
		"the user's label taken away": {
			metadata{nil, annotated("enabled-since", since)},
			&metadata{nil, map[string]string{}},
		},
		"the user's label says no now": {
			metadata{labelled("false"), annotated("enabled-since", "")},
			&metadata{labelled("false"), map[string]string{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := policy.NewNamespace()
			namespace.Name, namespace.Labels, namespace.Annotations = "team", test.from.Labels, test.from.Annotations
			want := test.want
			if want == nil {
				want = &metadata{maps.Clone(test.from.Labels), maps.Clone(test.from.Annotations)}
			}
			if changed := mirror(namespace, now); changed != (test.want != nil) {
				t.Errorf("changed: %t", changed)
			}
			if diff := cmp.Diff(*want, metadata{namespace.Labels, namespace.Annotations}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if mirror(namespace, now.Add(time.Hour)) {
				t.Errorf("it changed again: %v", namespace.ObjectMeta)
			}
		})
	}
}

func TestMirrorTouchesOnlyItsOwn(t *testing.T) {
	values := rapid.SampledFrom([]string{"true", "false", "", "yes", since})
	keys := rapid.SampledFrom([]string{
		api.EnabledLabel, api.EnabledMirroredAnnotation, api.EnabledSinceAnnotation, "kubernetes.io/metadata.name", api.LogModeAnnotation,
	})
	rapid.Check(t, func(t *rapid.T) {
		namespace := policy.NewNamespace()
		namespace.Labels = rapid.MapOf(keys, values).Draw(t, "labels")
		namespace.Annotations = rapid.MapOf(keys, values).Draw(t, "annotations")
		before := namespace.DeepCopy()
		changed := mirror(namespace, now)
		if changed == (cmp.Diff(before, namespace) == "") {
			t.Fatalf("changed: %t\n%s", changed, cmp.Diff(before, namespace))
		}
		if mirror(namespace, now) {
			t.Fatal("it changed twice")
		}
		for key, value := range before.Labels {
			got, still := namespace.Labels[key]
			ours := key == api.EnabledLabel && before.Annotations[api.EnabledMirroredAnnotation] == api.True
			if (!still || got != value) && !ours {
				t.Fatalf("label %s of somebody else's: %q, now %q", key, value, got)
			}
		}
		enabled := namespace.Labels[api.EnabledLabel] == api.True
		_, err := time.Parse(time.RFC3339, namespace.Annotations[api.EnabledSinceAnnotation])
		if enabled != (err == nil) {
			t.Fatalf("opted in is %t, since %q", enabled, namespace.Annotations[api.EnabledSinceAnnotation])
		}
	})
}

func TestChange(t *testing.T) {
	stored := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Annotations: annotated("enabled", "true")}}
	resource := corev1.Resource("namespaces")
	unavailable := apierrors.NewServiceUnavailable("away")
	for name, test := range map[string]struct {
		answer error
		want   string
	}{
		"changed":         {nil, ""},
		"changed by many": {apierrors.NewConflict(resource, "team", errors.New("modified")), ""},
		"gone":            {apierrors.NewNotFound(resource, "team"), ""},
		"server away":     {unavailable, "patching namespace team: " + unavailable.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(stored).WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
					if test.answer != nil {
						return test.answer
					}
					return c.Patch(ctx, object, patch, options...)
				},
			}).Build()
			r := &Reconciler{Client: c}
			from := policy.NewNamespace()
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(stored), from); err != nil {
				t.Fatal(err)
			}
			to := from.DeepCopy()
			mirror(to, now)
			got := ""
			if err := r.change(t.Context(), from, to); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			var after corev1.Namespace
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(stored), &after); err != nil {
				t.Fatal(err)
			}
			if enabled := after.Labels[api.EnabledLabel] == api.True; enabled != (test.answer == nil) {
				t.Errorf("enabled: %t", enabled)
			}
		})
	}
}

// What was looked at must be what is changed.
func TestChangeOfAnOldState(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}).Build()
	r := &Reconciler{Client: c}
	old := policy.NewNamespace()
	if err := c.Get(t.Context(), client.ObjectKey{Name: "team"}, old); err != nil {
		t.Fatal(err)
	}
	meanwhile := old.DeepCopy()
	meanwhile.Labels = labelled(api.False)
	if err := r.change(t.Context(), old, meanwhile); err != nil {
		t.Fatal(err)
	}
	to := old.DeepCopy()
	to.Labels = labelled(api.True)
	if err := r.change(t.Context(), old, to); err != nil {
		t.Fatal(err)
	}
	var after corev1.Namespace
	if err := c.Get(t.Context(), client.ObjectKey{Name: "team"}, &after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(labelled(api.False), after.Labels); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
