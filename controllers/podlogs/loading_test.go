package podlogs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/job-handler/job-handler/internal/api"
)

// TestLoading has one namespace not keep others from unpacking captures, and few do
// so at once.
func TestLoading(t *testing.T) {
	var l loading
	ends := map[string]func(){}
	for i := range loadingAtOnce {
		namespace := fmt.Sprint("namespace-", i)
		if l.busy(namespace) {
			t.Errorf("%s is busy", namespace)
		}
		end, ok := l.begin(namespace)
		if !ok {
			t.Fatalf("%s has to wait", namespace)
		}
		ends[namespace] = end
		if _, twice := l.begin(namespace); twice || !l.busy(namespace) {
			t.Errorf("%s has a second Job's captures unpacked", namespace)
		}
	}
	if _, more := l.begin("another"); more || !l.busy("another") {
		t.Errorf("captures of more than %d Jobs are unpacked", loadingAtOnce)
	}
	ends["namespace-0"]()
	if _, ok := l.begin("another"); !ok {
		t.Error("another namespace has to wait for nothing")
	}
}

// TestRefused has it be known of each object by itself that it was refused, until its
// Job is forgotten.
func TestRefused(t *testing.T) {
	var r refused
	r.forget("uid")
	r.add("uid", api.ResultsKindConfigMap, 3, errors.ErrUnsupported)
	r.add("other", api.ResultsKindConfigMap, 4, errors.ErrUnsupported)
	if r.of("uid", api.ResultsKindConfigMap, 3) == nil {
		t.Error("it is not known")
	}
	if r.of("uid", api.ResultsKindConfigMap, 4) != nil || r.of("uid", api.ResultsKindSecret, 3) != nil {
		t.Error("more is known than was found")
	}
	r.forget("uid")
	if r.of("uid", api.ResultsKindConfigMap, 3) != nil || r.of("other", api.ResultsKindConfigMap, 4) == nil {
		t.Error("not just this Job is forgotten")
	}
}
