package ledger

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// However often other clients remove labels, one Job gets its label back a bounded number
// of times within any hour, another Job as well, and few Jobs are remembered.
func TestLabelsGivenBackAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		now := noon
		given := map[types.UID][]time.Time{}
		for range rapid.IntRange(0, 100).Draw(t, "removals") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1800).Draw(t, "seconds")) * time.Second)
			job := oneJob().UID(rapid.SampledFrom([]types.UID{"a", "b"}).Draw(t, "job")).Obj()
			before, left := given[job.UID], l.LeaveLabel(job, now)
			third := len(before) - maxCorrections
			if free := third < 0 || now.Sub(before[third]) >= correctionWindow; free != (left == 0) || left > correctionWindow {
				t.Fatalf("left off for %s at %s after %v", left, now, before)
			}
			if left == 0 {
				l.GaveLabel(job, now)
				given[job.UID] = append(before, now)
			}
		}
	})
}

func TestFewLabelsAreRemembered(t *testing.T) {
	var l Ledger
	for i := range 2 * rememberedLabels {
		l.GaveLabel(oneJob().UID(types.UID(rune(i))).Obj(), noon)
	}
	if n := l.labels.byID.Len(); n > rememberedLabels {
		t.Errorf("%d", n)
	}
}
