package retain

import (
	"fmt"
	"testing"
	"time"

	"github.com/job-handler/job-handler/internal/api"
)

// BenchmarkSurvey is of 10,000 results of 100 CronJobs, of which 1,000 go. The
// objects themselves are the list's: it shows what the survey adds.
func BenchmarkSurvey(b *testing.B) {
	results := object("a")
	b.ReportAllocs()
	for b.Loop() {
		s := NewSurvey(now, Options{KeepCompleted: 90, Horizon: time.Hour}, nil)
		for i := range 10_000 {
			results.Name = fmt.Sprintf("nightly-report-%08d-results", i)
			results.Labels[api.CronJobLabel] = fmt.Sprintf("nightly-%d", i%100)
			results.Annotations[api.CreatedAtAnnotation] = at(time.Duration(i) * time.Minute)
			s.Add(api.ResultsKindConfigMap, results)
		}
		if got := len(s.Candidates()); got != 1000 {
			b.Fatal(got)
		}
	}
}
