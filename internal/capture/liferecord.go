package capture

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// lifeRecord is what is stored of an instance beside its log.
type lifeRecord struct {
	// Restart is how often the container had been restarted; absent if that is not known.
	Restart *int32 `json:"restart,omitempty"`
	// Read is true if another instance may have been started after it.
	Read bool `json:"read,omitempty"`
	// End is how it ended; absent if that was not seen.
	End *terminatedJSON `json:"end,omitempty"`
}

// newLifeRecord returns what is known of the instance that l is of, nil if nothing is.
func newLifeRecord(l *followedLog) *lifeRecord {
	if l.restart == results.UnknownRestart && l.end == nil && !l.ofLife {
		return nil
	}
	r := &lifeRecord{Read: l.ofLife, End: newState(corev1.ContainerState{Terminated: l.end}).Terminated}
	if l.restart != results.UnknownRestart {
		r.Restart = &l.restart
	}
	return r
}

// sound reports whether the record can be one of an instance.
func (r *lifeRecord) sound() bool {
	return r == nil || r.End == nil || len(r.End.Reason) <= maxReason && r.End.Message == "" && len(r.End.ContainerID) <= maxStored
}

// restore gives l what is stored of its instance.
func (r *lifeRecord) restore(l *followedLog) error {
	l.restart = results.UnknownRestart
	if r == nil {
		return nil
	}
	if r.Restart != nil {
		l.restart = max(0, *r.Restart)
	}
	l.ofLife = r.Read
	var times times
	l.end = times.state(&stateJSON{Terminated: r.End}).Terminated
	return times.err
}
