package results

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/job-handler/job-handler/internal/api"
)

// Object is what Job Handler keeps in one object of the cluster: results, a part of
// them, or captures of deleted pods. It is the same whatever kind of object holds it.
type Object struct {
	metav1.ObjectMeta
	// Kind is the kind of the object that holds it, one of the values of
	// api.ResultsKindAnnotation.
	Kind string
	// Immutable is as in the API: nil means false.
	Immutable *bool
	// Type is that of a Secret, and empty for a ConfigMap.
	Type corev1.SecretType
	// Data and BinaryData are the values. They may be shared with other objects, and
	// must not be changed. In a Secret, BinaryData has api.DataLogsGzip alone, or, if
	// the object keeps captures, all values.
	Data       map[string]string
	BinaryData map[string][]byte
}

// Encoded is an object in the form that the API has: *corev1.ConfigMap or
// *corev1.Secret.
type Encoded interface {
	metav1.Object
	runtime.Object
}

// Empty returns an object of the kind to read into.
func Empty(kind string) Encoded {
	if kind == api.ResultsKindSecret {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

// newObject returns an object without values that Ours accepts once it has the label.
func newObject(kind string, meta metav1.ObjectMeta) *Object {
	o := &Object{ObjectMeta: meta, Kind: kind, Immutable: new(true)}
	if kind == api.ResultsKindSecret {
		o.Type = api.SecretType
	}
	return o
}

// Object returns the content as an immutable object without an owner, so that
// garbage collection never deletes it together with the Job. It shares the content's
// maps.
func (c *Content) Object(kind, namespace, name string) *Object {
	o := newObject(kind, metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: c.Labels, Annotations: c.Annotations})
	o.Data, o.BinaryData = c.Data, c.BinaryData
	return o
}

// Encode returns the object in the form that the API has, with its kind. Values may
// share memory with the object, but nothing else does: a client decodes the answer of
// the API server into what it was given.
func (o *Object) Encode() Encoded {
	kind := metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: o.Kind}
	from, immutable := &o.ObjectMeta, o.Immutable
	meta := *from.DeepCopy()
	if immutable != nil {
		immutable = new(*immutable)
	}
	if o.Kind != api.ResultsKindSecret {
		return &corev1.ConfigMap{
			TypeMeta: kind, ObjectMeta: meta, Immutable: immutable,
			Data: maps.Clone(o.Data), BinaryData: maps.Clone(o.BinaryData),
		}
	}
	data := make(map[string][]byte, len(o.Data)+len(o.BinaryData))
	for key, value := range o.Data {
		data[key] = []byte(value)
	}
	maps.Copy(data, o.BinaryData)
	return &corev1.Secret{TypeMeta: kind, ObjectMeta: meta, Immutable: immutable, Type: o.Type, Data: data}
}

// Decode returns what a ConfigMap or a Secret holds, whoever made it; for an object
// of another type it returns one that Ours refuses. It shares metadata and binary
// values with stored. The text of a Secret is copied, so the copy takes at most as
// much memory as the Secret.
func Decode(stored Encoded) *Object {
	switch s := stored.(type) {
	case *corev1.ConfigMap:
		return &Object{
			ObjectMeta: s.ObjectMeta, Kind: api.ResultsKindConfigMap, Immutable: s.Immutable,
			Data: s.Data, BinaryData: s.BinaryData,
		}
	case *corev1.Secret:
		o := &Object{ObjectMeta: s.ObjectMeta, Kind: api.ResultsKindSecret, Immutable: s.Immutable, Type: s.Type}
		o.decodeValues(s.Data)
		return o
	default:
		return &Object{}
	}
}

// decodeValues takes the values of a Secret, which has no BinaryData.
func (o *Object) decodeValues(values map[string][]byte) {
	o.Data, o.BinaryData = map[string]string{}, map[string][]byte{}
	captures := o.keepsCaptures()
	for key, value := range values {
		if captures || key == api.DataLogsGzip {
			o.BinaryData[key] = value
		} else {
			o.Data[key] = string(value)
		}
	}
}

// String returns kind and name.
func (o *Object) String() string { return o.Kind + " " + o.Name }

// keepsCaptures reports whether the labels say that the object keeps captures.
func (o *Object) keepsCaptures() bool {
	_, captures := o.Labels[api.CaptureOfLabel]
	return captures
}

// Ours reports whether only Job Handler makes such objects: it is labelled as
// created by Job Handler, it is immutable and, if it is a Secret, it has our type.
func (o *Object) Ours() bool { return o.verifyOurs() == nil }

// verifyOurs returns nil if the object is Ours. Otherwise the error wraps ErrStranger.
func (o *Object) verifyOurs() error {
	switch {
	case o.Kind == api.ResultsKindSecret && o.Type != api.SecretType:
		return fmt.Errorf("%w: a Secret of type %q", ErrStranger, o.Type)
	case o.Labels[api.CreatedLabel] != api.True:
		return fmt.Errorf("%w: no label %s=%s", ErrStranger, api.CreatedLabel, api.True)
	case o.Immutable == nil || !*o.Immutable:
		return fmt.Errorf("%w: not immutable", ErrStranger)
	default:
		return nil
	}
}

// Whole returns nil if the values are those that the object was made with. Otherwise
// the error wraps ErrDamaged.
func (o *Object) Whole() error {
	if want, got := o.Annotations[api.SHA256Annotation], Digest(o.Data, o.BinaryData); want != got {
		return fmt.Errorf("%w: its SHA-256 is %s, not %q as annotated", ErrDamaged, got, want)
	}
	return nil
}
