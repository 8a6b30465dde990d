// Package stats sums up samples. It must not import anything that measures.
package stats

import (
	"math"
	"slices"
	"time"
)

// Summary describes samples by what is read of them most. The percentiles are
// samples themselves, by nearest rank: nothing is interpolated.
type Summary struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	// Deviation is the sample standard deviation, 0 for fewer than two samples.
	Deviation float64 `json:"deviation"`
	Min       float64 `json:"min"`
	P50       float64 `json:"p50"`
	P90       float64 `json:"p90"`
	P99       float64 `json:"p99"`
	Max       float64 `json:"max"`
}

// Of returns the summary of samples, which it does not change; the zero Summary
// where there are none.
func Of(samples []float64) Summary {
	if len(samples) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	mean := Mean(sorted)
	return Summary{
		Count: len(sorted), Mean: mean, Deviation: deviation(sorted, mean),
		Min: sorted[0], Max: sorted[len(sorted)-1],
		P50: Percentile(sorted, 50), P90: Percentile(sorted, 90), P99: Percentile(sorted, 99),
	}
}

// Mean returns the arithmetic mean of samples, 0 where there are none.
func Mean(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sum := 0.0
	for _, sample := range samples {
		sum += sample
	}
	return sum / float64(len(samples))
}

func deviation(samples []float64, mean float64) float64 {
	if len(samples) < 2 {
		return 0
	}
	squares := 0.0
	for _, sample := range samples {
		squares += (sample - mean) * (sample - mean)
	}
	return math.Sqrt(squares / float64(len(samples)-1))
}

// Percentile returns the smallest of the sorted samples that at least percent of
// them do not exceed, 0 where there are none.
func Percentile(sorted []float64, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// PerSecond counts, for each whole second from begin on that ended by the last
// of times, how many of them are in it. The second in which they end is not
// whole, and left out.
func PerSecond(begin time.Time, times []time.Time) []float64 {
	if len(times) == 0 {
		return nil
	}
	last := slices.MaxFunc(times, time.Time.Compare)
	counts := make([]float64, max(0, int(last.Sub(begin)/time.Second)))
	for _, at := range times {
		if i := int(at.Sub(begin) / time.Second); at.Compare(begin) >= 0 && i < len(counts) {
			counts[i]++
		}
	}
	return counts
}
