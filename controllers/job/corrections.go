package job

import "time"

const (
	// maxCorrections is how often in correctionWindow a field of one Job is corrected
	// after another client changed it. Two writers that both insist would else write at
	// the speed of the watch.
	maxCorrections   = 3
	correctionWindow = time.Hour
)

// corrections are when a field of one Job was corrected last, the oldest first: at most
// maxCorrections times.
type corrections []time.Time

// left returns for how long the field is left as another client set it, 0 if it may be
// corrected.
func (c corrections) left(now time.Time) time.Duration {
	if len(c) < maxCorrections {
		return 0
	}
	return max(0, correctionWindow-now.Sub(c[0]))
}

// and returns the corrections with one more.
func (c corrections) and(now time.Time) corrections {
	c = append(c, now)
	return c[max(0, len(c)-maxCorrections):]
}
