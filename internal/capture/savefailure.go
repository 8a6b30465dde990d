package capture

// SaveFailure is why captures could not be saved beside their Job.
type SaveFailure string

const (
	// SaveQuota means that a quota of the namespace refused it.
	SaveQuota SaveFailure = "quota"
	// SaveRights means that the manager lacks a right, or that a policy refused it.
	SaveRights SaveFailure = "rights"
	// SaveSize means that the object is too large for the API server.
	SaveSize SaveFailure = "size"
	// SaveBudget means that results are above a budget, and that captures of the Job
	// have reached the lower limit that applies then.
	SaveBudget SaveFailure = "budget"
	// SaveGone means that the Job or its namespace was deleted, or is being deleted.
	SaveGone SaveFailure = "gone"
	// SavePassing means that the API server was busy or away.
	SavePassing SaveFailure = "passing"
	// SaveOther is anything else.
	SaveOther SaveFailure = "other"
)
