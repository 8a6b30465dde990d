package results

// Completeness says whether the logs of a run are stored.
type Completeness string

const (
	// LogsComplete means that every log is stored whole.
	LogsComplete Completeness = "complete"
	// LogsIncomplete means that logs are missing or shortened for good.
	LogsIncomplete Completeness = "incomplete"
	// LogsKept means that logs could not be read in time, and that the Job is kept so
	// that they can still be read.
	LogsKept Completeness = "kept"
)

// Completeness returns whether the logs of the run are stored.
func (s Summary) Completeness() Completeness {
	switch {
	case s.Retryable:
		return LogsKept
	case s.Complete:
		return LogsComplete
	default:
		return LogsIncomplete
	}
}
