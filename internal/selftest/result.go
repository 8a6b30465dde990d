package selftest

import "time"

// Result is how a self-test ended.
type Result string

const (
	// Stamped means that the Job came back with the webhook's stamp.
	Stamped Result = "stamped"
	// Unstamped means that the Job came back without the stamp, or with a part of it.
	Unstamped Result = "unstamped"
	// Refused means that the API server refused the Job, or the manager.
	Refused Result = "refused"
	// Unanswered means that the API server gave no answer in time.
	Unanswered Result = "unanswered"
)

// Metrics counts self-tests, as metrics.SelfTest does.
type Metrics interface {
	// Tested counts a test that ended at a time.
	Tested(result Result, at time.Time)
}
