package options

import (
	"errors"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/job-handler/job-handler/internal/retain"
)

const (
	minRetentionInterval = time.Minute
	maxKeep              = 100_000
	minBudget            = 1 << 20
)

// Retention is how long results are kept, and how much of them.
type Retention struct {
	// Interval is the time between looks at all results; 0 turns retention off,
	// and the budgets, for which it counts, with it.
	Interval time.Duration
	// KeepCompleted and KeepFailed are how many results are kept of a CronJob's
	// runs with that outcome; 0: all.
	KeepCompleted, KeepFailed int
	// NamespaceSize is what results may take in a namespace before less of logs
	// is stored; 0: there is no bound.
	NamespaceSize resource.QuantityValue
	// ClusterSize is the same for all namespaces together.
	ClusterSize resource.QuantityValue
}

func newRetention() Retention {
	return Retention{
		Interval:      time.Hour,
		NamespaceSize: resource.QuantityValue{Quantity: resource.MustParse("256Mi")},
		ClusterSize:   resource.QuantityValue{Quantity: resource.MustParse("1Gi")},
	}
}

func (r *Retention) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&r.Interval, "retention-interval", r.Interval,
		"How often all results are checked, for those to delete and for their size; 0 turns retention off, "+
			"with --max-results-bytes and --max-results-bytes-per-namespace. Results that expire between two checks are deleted in time too.")
	fs.IntVar(&r.KeepCompleted, "keep-completed-results-per-cronjob", r.KeepCompleted,
		"Number of completed Jobs of each CronJob whose results are kept, the newest first; older results are deleted. 0 keeps all.")
	fs.IntVar(&r.KeepFailed, "keep-failed-results-per-cronjob", r.KeepFailed,
		"Number of failed Jobs of each CronJob whose results are kept, the newest first; older results are deleted. 0 keeps all.")
	fs.Var(&r.NamespaceSize, "max-results-bytes-per-namespace",
		"Bytes (Ki, Mi, Gi) that results may take in a namespace. Above it only 16Ki of logs is stored for each new Job; 0 means no limit.")
	fs.Var(&r.ClusterSize, "max-results-bytes",
		"Bytes (Ki, Mi, Gi) that results may take in all namespaces. Above it only 16Ki of logs is stored for each new Job in namespaces at or above their "+
			"fair share, which is this limit divided by the namespaces with results. Above one and a half times the limit that applies to all namespaces; 0 means no limit.")
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
	for _, budget := range []struct {
		flag string
		size *resource.QuantityValue
	}{{"max-results-bytes-per-namespace", &r.NamespaceSize}, {"max-results-bytes", &r.ClusterSize}} {
		if bytes := budget.size.Value(); bytes != 0 && bytes < minBudget {
			errs = append(errs, invalid(budget.flag, budget.size.String(), "at least 1Mi, or 0 for no bound"))
		}
	}
	return errors.Join(errs...)
}

// Budgets returns NamespaceSize and ClusterSize in bytes.
func (r *Retention) Budgets() retain.Budgets {
	return retain.Budgets{Namespace: r.NamespaceSize.Value(), Cluster: r.ClusterSize.Value()}
}

// Off reports whether results are kept for ever.
func (r *Retention) Off() bool { return r.Interval == 0 }
