package api

const (
	// AtWorkLease is the name of the Lease in ManagerNamespace on which the leader
	// notes which Jobs it is handling.
	AtWorkLease = "job-handler-at-work"

	// AtWorkAnnotation sits on AtWorkLease: the UIDs of the Jobs that the leader is
	// handling, and how often a process ended while it was handling a Job, as JSON.
	AtWorkAnnotation = Prefix + "at-work"
)
