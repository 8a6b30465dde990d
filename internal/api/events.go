package api

const (
	// ReasonJobProcessing is the reason of every Event about a Job. Normal
	// when a completed Job's results are stored; Warning when a failed Job's
	// are, when a capture is incomplete, and for trouble on the way.
	ReasonJobProcessing = "JobProcessing"

	// ReasonWebhookCertificate is the reason of Warning Events about the
	// webhook's serving certificate, on the Certificate of cert-manager or on a
	// webhook configuration.
	ReasonWebhookCertificate = "WebhookCertificate"

	// ReasonWebhookSelfTest is the reason of Warning Events about Jobs that are
	// not stamped when they are created, on the webhook configuration or, where
	// there is none, on the manager's own Namespace.
	ReasonWebhookSelfTest = "WebhookSelfTest"

	// ActionStore is the action of the one Event that tells a run's outcome.
	ActionStore = "StoreResults"
	// ActionHandle is the action of Warning Events on the way: about trouble
	// and about invalid annotations.
	ActionHandle = "HandleJob"
	// ActionServe is the action of Warning Events about the webhook: about its
	// serving certificate and about its self-test.
	ActionServe = "ServeWebhook"

	// ManagerName is the name under which the manager acts: the reporting
	// controller of its Events and the field manager of its writes.
	ManagerName = "job-handler"

	// ManagerNamespace is the namespace that the manager is installed in
	// unless the operator chooses another.
	ManagerNamespace = "job-handler-system"

	// ManagerUser is the user that the API server knows the manager by: its
	// ServiceAccount in ManagerNamespace, which is named as the manager is.
	ManagerUser = "system:serviceaccount:" + ManagerNamespace + ":" + ManagerName

	// WebhookCertificateName is the name of the Certificate in ManagerNamespace
	// from which cert-manager makes the webhook's serving certificate; the
	// manager may read that one only.
	WebhookCertificateName = "job-handler-webhook"
)
