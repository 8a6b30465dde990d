package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/api"
)

// LeftAlone are marks of the operator's own: a Job with any of them is Tracked.
type LeftAlone struct {
	Labels, Annotations []Mark
}

// Mark is a key, and the value that it has to have; nil: any.
type Mark struct {
	Key   string
	Value *string
}

// String returns the mark as ParseLabelMark and ParseAnnotationMark take it.
func (m Mark) String() string {
	if m.Value == nil {
		return m.Key
	}
	return m.Key + "=" + *m.Value
}

// ParseLabelMark parses a label: key or key=value.
func ParseLabelMark(text string) (Mark, error) {
	mark, err := parseMark(text)
	if err == nil && mark.Value != nil && len(validation.IsValidLabelValue(*mark.Value)) > 0 {
		err = errors.New("must have a valid label value after the =")
	}
	return mark, err
}

// ParseAnnotationMark parses an annotation: key or key=value.
func ParseAnnotationMark(text string) (Mark, error) {
	mark, err := parseMark(text)
	if err == nil && mark.Value != nil && len(*mark.Value) > maxKeptValue {
		err = fmt.Errorf("must have a value of at most %d bytes", maxKeptValue)
	}
	return mark, err
}

func parseMark(text string) (Mark, error) {
	key, value, hasValue := strings.Cut(text, "=")
	if len(validation.IsQualifiedName(key)) > 0 || strings.HasPrefix(key, api.Prefix) {
		return Mark{}, fmt.Errorf("must be key or key=value, where key is a label or annotation key that does not start with %s", api.Prefix)
	}
	mark := Mark{Key: key}
	if hasValue {
		mark.Value = &value
	}
	return mark, nil
}

func (m Mark) in(all map[string]string) bool {
	value, there := all[m.Key]
	return there && (m.Value == nil || *m.Value == value)
}

// on returns which mark the object has, as Tracked names tools.
func (l LeftAlone) on(object metav1.Object) (tool string, is bool) {
	for _, mark := range l.Labels {
		if mark.in(object.GetLabels()) {
			return "label " + mark.String(), true
		}
	}
	for _, mark := range l.Annotations {
		if mark.in(object.GetAnnotations()) {
			return "annotation " + mark.String(), true
		}
	}
	return "", false
}

// looks reports whether the key is that of a mark.
func (l LeftAlone) looks(key string) bool {
	isKey := func(mark Mark) bool { return mark.Key == key }
	return slices.ContainsFunc(l.Labels, isKey) || slices.ContainsFunc(l.Annotations, isKey)
}
