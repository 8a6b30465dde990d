package api

const (
	// ReasonJobProcessing is the reason of every Event of Job Handler. Normal
	// when a completed Job's results are stored; Warning when a failed Job's
	// are, when a capture is incomplete, and for trouble on the way.
	ReasonJobProcessing = "JobProcessing"

	// ActionStore is the action of the one Event that tells a run's outcome.
	ActionStore = "StoreResults"
	// ActionHandle is the action of Warning Events on the way: about trouble
	// and about invalid annotations.
	ActionHandle = "HandleJob"

	// ManagerName is the name under which the manager acts: the reporting
	// controller of its Events and the field manager of its writes.
	ManagerName = "job-handler"

	// ManagerNamespace is the namespace that the manager is installed in
	// unless the operator chooses another.
	ManagerNamespace = "job-handler-system"

	// ManagerUser is the user that the API server knows the manager by: its
	// ServiceAccount in ManagerNamespace, which is named as the manager is.
	ManagerUser = "system:serviceaccount:" + ManagerNamespace + ":" + ManagerName
)
