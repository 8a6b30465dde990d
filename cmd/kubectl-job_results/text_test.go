package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The seconds are from JSON that anybody who may create ConfigMaps can make.
func TestTookNeverOverflows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 1<<20), rapid.SampledFrom([]int64{
			math.MaxInt64, math.MinInt64, math.MaxInt64 / int64(time.Second), math.MaxInt64/int64(time.Second) + 1,
		})).Draw(t, "seconds")
		text := took(&seconds)
		if strings.HasPrefix(text, "-") || strings.Contains(text, "invalid") {
			t.Fatalf("%d seconds are shown as %q", seconds, text)
		}
		if seconds > 1<<20 && !strings.ContainsAny(text, "dy") {
			t.Fatalf("%d seconds are shown as %q", seconds, text)
		}
	})
}
