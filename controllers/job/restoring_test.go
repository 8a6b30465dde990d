package job

import (
	"errors"
	"fmt"
	"testing"

	"github.com/job-handler/job-handler/internal/api"
)

// TestRestoring has one namespace not keep others from unpacking captures, and few do
// so at once.
func TestRestoring(t *testing.T) {
	var r restoring
	ends := map[string]func(){}
	for i := range restoringAtOnce {
		namespace := fmt.Sprint("namespace-", i)
		if r.busy(namespace) {
			t.Errorf("%s is busy", namespace)
		}
		end, ok := r.begin(namespace)
		if !ok {
			t.Fatalf("%s has to wait", namespace)
		}
		ends[namespace] = end
		if _, twice := r.begin(namespace); twice || !r.busy(namespace) {
			t.Errorf("%s has a second Job's captures unpacked", namespace)
		}
	}
	if _, more := r.begin("another"); more || !r.busy("another") {
		t.Errorf("captures of more than %d Jobs are unpacked", restoringAtOnce)
	}
	ends["namespace-0"]()
	if _, ok := r.begin("another"); !ok {
		t.Error("another namespace has to wait for nothing")
	}
}

// TestPoison has it be known of each object by itself that it was refused, until its
// Job is forgotten.
func TestPoison(t *testing.T) {
	var p poison
	p.forget("uid")
	p.add("uid", api.ResultsKindConfigMap, 3, errors.ErrUnsupported)
	p.add("other", api.ResultsKindConfigMap, 4, errors.ErrUnsupported)
	if p.of("uid", api.ResultsKindConfigMap, 3) == nil {
		t.Error("it is not known")
	}
	if p.of("uid", api.ResultsKindConfigMap, 4) != nil || p.of("uid", api.ResultsKindSecret, 3) != nil {
		t.Error("more is known than was found")
	}
	p.forget("uid")
	if p.of("uid", api.ResultsKindConfigMap, 3) != nil || p.of("other", api.ResultsKindConfigMap, 4) == nil {
		t.Error("not just this Job is forgotten")
	}
}
