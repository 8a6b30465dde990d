package options

import (
	"errors"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	minRetentionInterval = time.Minute
	maxKeep              = 100_000
	minNamespaceBytes    = 1 << 20
)

// Retention is how long results are kept, and how much of them.
type Retention struct {
	// Interval is the time between looks at all results; 0 turns retention off,
	// and the budget of namespaces, for which it counts, with it.
	Interval time.Duration
	// KeepCompleted and KeepFailed are how many results are kept of a CronJob's
	// runs with that outcome; 0: all.
	KeepCompleted, KeepFailed int
	// NamespaceSize is what results may take in a namespace before less of logs
	// is stored; 0: there is no bound.
	NamespaceSize resource.QuantityValue
}

func newRetention() Retention {
	return Retention{
		Interval:      time.Hour,
		NamespaceSize: resource.QuantityValue{Quantity: resource.MustParse("256Mi")},
	}
}

func (r *Retention) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&r.Interval, "retention-interval", r.Interval,
		"How often all results are looked at, for those to delete and for what they take; 0 turns retention off, "+
			"with --max-results-bytes-per-namespace. Results are deleted in time between two looks too.")
	fs.IntVar(&r.KeepCompleted, "keep-completed-results-per-cronjob", r.KeepCompleted,
		"Results kept of the newest completed Jobs of each CronJob; older ones are deleted. 0 keeps all.")
	fs.IntVar(&r.KeepFailed, "keep-failed-results-per-cronjob", r.KeepFailed,
		"Results kept of the newest failed Jobs of each CronJob; older ones are deleted. 0 keeps all.")
	fs.Var(&r.NamespaceSize, "max-results-bytes-per-namespace",
		"What results may take in a namespace, in bytes (Ki, Mi, Gi), before of new logs 16Ki is stored for each Job; 0 for no bound.")
}

func (r *Retention) validate() error {
	var errs []error
	if r.Interval != 0 && r.Interval < minRetentionInterval {
		errs = append(errs, invalid("retention-interval", r.Interval, "at least 1m, or 0 to turn retention off"))
	}
	for _, keep := range []struct {
		flag  string
		value int
	}{{"keep-completed-results-per-cronjob", r.KeepCompleted}, {"keep-failed-results-per-cronjob", r.KeepFailed}} {
		if keep.value < 0 || keep.value > maxKeep {
			errs = append(errs, invalid(keep.flag, keep.value, "between 0 and 100000"))
		}
	}
	if size := r.NamespaceBytes(); size != 0 && size < minNamespaceBytes {
		errs = append(errs, invalid("max-results-bytes-per-namespace", r.NamespaceSize.String(), "at least 1Mi, or 0 for no bound"))
	}
	return errors.Join(errs...)
}

// NamespaceBytes returns NamespaceSize in bytes.
func (r *Retention) NamespaceBytes() int64 { return r.NamespaceSize.Value() }

// Off reports whether results are kept for ever.
func (r *Retention) Off() bool { return r.Interval == 0 }
