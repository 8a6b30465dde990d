package stats

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	hundred := make([]float64, 0, 100)
	for i := 100; i > 0; i-- {
		hundred = append(hundred, float64(i))
	}
	for name, test := range map[string]struct {
		samples []float64
		want    Summary
	}{
		"none": {},
		"one":  {samples: []float64{3}, want: Summary{Count: 1, Mean: 3, Min: 3, P50: 3, P90: 3, P99: 3, Max: 3}},
		"two": {
			samples: []float64{4, 2},
			want:    Summary{Count: 2, Mean: 3, Deviation: math.Sqrt2, Min: 2, P50: 2, P90: 4, P99: 4, Max: 4},
		},
		"a hundred, the largest first": {
			samples: hundred,
			want: Summary{
				Count: 100, Mean: 50.5, Deviation: math.Sqrt(100 * 101 / 12.0),
				Min: 1, P50: 50, P90: 90, P99: 99, Max: 100,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]float64(nil), test.samples...)
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
			if diff := cmp.Diff(test.want, Of(test.samples), near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.samples); diff != "" {
				t.Errorf("the samples were changed:\n%s", diff)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	for name, test := range map[string]struct {
		sorted  []float64
		percent float64
		want    float64
	}{
		"none":            {percent: 50},
		"0 of some":       {sorted: []float64{1, 2, 3}, percent: 0, want: 1},
		"100 of some":     {sorted: []float64{1, 2, 3}, percent: 100, want: 3},
		"half of an odd":  {sorted: []float64{1, 2, 3}, percent: 50, want: 2},
		"half of an even": {sorted: []float64{1, 2, 3, 4}, percent: 50, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Percentile(test.sorted, test.percent); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestPerSecond(t *testing.T) {
	begin := time.Unix(1000, 0)
	after := func(ms ...int) (times []time.Time) {
		for _, each := range ms {
			times = append(times, begin.Add(time.Duration(each)*time.Millisecond))
		}
		return times
	}
	for name, test := range map[string]struct {
		times []time.Time
		want  []float64
	}{
		"none":                                {},
		"less than a second":                  {times: after(0, 999), want: []float64{}},
		"the last second is not whole":        {times: after(0, 500, 1100, 2300), want: []float64{2, 1}},
		"in any order, with one before begin": {times: after(2000, -1, 1000, 0), want: []float64{1, 1}},
		"a second without":                    {times: after(10, 2010, 3000), want: []float64{1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, PerSecond(begin, test.times)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
