package policy

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/job-handler/job-handler/internal/api"
)

// LongestDelay is the longest delay that ttlSecondsAfterFinished, an int32 of
// seconds, can hold: about 68 years.
const LongestDelay = math.MaxInt32 * time.Second

var errNotADelay = errors.New("must be never or a duration like 1d12h (s m h d w, max 2147483647s)")

// Delay is how long something waits: After, at least 0 and in whole seconds,
// or for ever. After is 0 where Never is set, so that Delays compare by ==.
type Delay struct {
	Never bool
	After time.Duration
}

// ParseDelay reads a duration in the units s, m, h, d and w, larger units
// first (1d12h), or api.Never. A bare 0 needs no unit. It refuses fractions,
// negative values, other units and more than 2147483647 seconds, always with
// the same error, which says what is allowed.
func ParseDelay(s string) (Delay, error) {
	if s == api.Never {
		return Delay{Never: true}, nil
	}
	parsed, err := model.ParseDuration(s)
	if err != nil || len(s) > maxKeptValue || strings.Contains(s, "ms") || strings.Contains(s, "y") {
		return Delay{}, errNotADelay
	}
	after := time.Duration(parsed)
	if after > LongestDelay {
		return Delay{}, errNotADelay
	}
	return Delay{After: after}, nil
}

// String returns the delay as ParseDelay reads it: weeks where they come out
// even, else days, hours, minutes and seconds.
func (d Delay) String() string {
	if d.Never {
		return api.Never
	}
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	rest := d.After
	if rest >= week && rest%week == 0 {
		return strconv.FormatInt(int64(rest/week), 10) + "w"
	}
	var text strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if count := rest / unit.size; count > 0 {
			text.WriteString(strconv.FormatInt(int64(count), 10) + unit.name)
			rest %= unit.size
		}
	}
	if text.Len() == 0 {
		return "0s"
	}
	return text.String()
}
