package resultsview

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// Object is a results object of whatever kind.
type Object struct {
	metav1.ObjectMeta
	// Kind is one of the values of api.ResultsKindAnnotation.
	Kind string
	// Data and BinaryData are the values as the API has them; not to be changed.
	Data       map[string]string
	BinaryData map[string][]byte
	// Stored is the object as the API server returned it.
	Stored runtime.Object
}

// FromConfigMap returns cm as an Object. It shares cm's maps.
func FromConfigMap(cm *corev1.ConfigMap) Object {
	return Object{
		ObjectMeta: cm.ObjectMeta, Kind: api.ResultsKindConfigMap,
		Data: cm.Data, BinaryData: cm.BinaryData, Stored: cm,
	}
}

// String returns kind and name.
func (o Object) String() string { return o.Kind + " " + o.Name }

// verify returns nil if the object is one that Job Handler made, and holds what
// it held then.
func (o Object) verify() error {
	if o.Labels[api.CreatedLabel] != api.True {
		return fmt.Errorf("%w: no label %s=%s", results.ErrStranger, api.CreatedLabel, api.True)
	}
	if _, capture := o.Labels[api.CaptureOfLabel]; capture {
		return fmt.Errorf("%w: it holds captured pods of a running Job", results.ErrStranger)
	}
	want, got := o.Annotations[api.SHA256Annotation], results.Digest(o.Data, o.BinaryData)
	if want != got {
		return fmt.Errorf("%w: its SHA-256 is %s, not %q as annotated", results.ErrDamaged, got, want)
	}
	return nil
}

// Fetch returns the object of this name, of the kind and in the namespace that
// it is for. Everything that Open reads comes by it.
type Fetch func(ctx context.Context, name string) (Object, error)

// Open returns the results in the object of this name. The error is that of
// fetch, or wraps results.ErrStranger where the object is not one of Job
// Handler, or results.ErrDamaged where it is not whole.
func Open(ctx context.Context, name string, fetch Fetch) (*Run, error) {
	object, err := fetch(ctx, name)
	if err != nil {
		return nil, err
	}
	run, err := Parse(object)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", object, err)
	}
	return run, nil
}
