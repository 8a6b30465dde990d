package retain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
)

// capturedOf makes an object captures of this Job.
func capturedOf(job string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) {
		captured(cm)
		cm.Labels[api.CaptureOfLabel] = job
		cm.OwnerReferences[0].UID, cm.OwnerReferences[0].Name = types.UID(job), "job-"+job
	}
}

// Captures count like results, whatever their age; those that may be left over are
// told Job by Job.
func TestSurveyOfCaptures(t *testing.T) {
	s := surveyed(Options{},
		object("a", capturedOf("one")), object("b", capturedOf("two")), object("c", capturedOf("one")),
		object("young", capturedOf("three"), old(CaptureAge-time.Second)), object("old", capturedOf("four"), old(CaptureAge)),
		object("results"), object("foreign", owned),
	)
	if s.Bytes["team"] != 600 || s.Counts[Captured] != 5 || s.Counts[Foreign] != 1 {
		t.Errorf("%v bytes of %v", s.Bytes, s.Counts)
	}
	var got []string
	for _, c := range s.Captures() {
		line := fmt.Sprint(c.Namespace, " ", c.JobName, " ", c.JobUID)
		for _, ref := range c.Refs {
			line += " " + ref.Name
		}
		got = append(got, line)
	}
	want := []string{"team job-four four old", "team job-one one a c", "team job-two two b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// They come in one order, whatever that of maps is.
func TestCapturesAreInOrder(t *testing.T) {
	s := NewSurvey(now, Options{}, nil)
	for i := range 100 {
		s.Add(api.ResultsKindConfigMap, object(fmt.Sprint(i), capturedOf(fmt.Sprintf("%02d", (i*37)%100))))
	}
	if !slices.IsSortedFunc(s.Captures(), func(a, b *Captures) int { return strings.Compare(a.JobName, b.JobName) }) {
		t.Error("captures are not in the order of their Jobs")
	}
}

func TestSurveyRemembersSoManyCaptures(t *testing.T) {
	s := NewSurvey(now, Options{}, nil)
	for i := range mostCaptures + 10 {
		s.Add(api.ResultsKindConfigMap, object(fmt.Sprint(i), capturedOf("one")))
	}
	if got := len(s.Captures()[0].Refs); got != mostCaptures || s.Counts[Captured] != mostCaptures+10 {
		t.Errorf("%d are remembered of %d", got, s.Counts[Captured])
	}
}
