package webhooks

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/policy"
)

// Paths of the handlers, which Configurations has.
const (
	// PathJobInNamespace takes Jobs of Namespaces whose label opts in. The API server
	// matches the label, so no cache is needed.
	PathJobInNamespace = "/mutate-job-in-namespace"
	// PathJob takes Jobs of other Namespaces that opt in or out themselves, and the
	// manager's self-test.
	PathJob = "/mutate-job"
	// PathJobTTL takes stamped Jobs whose ttlSecondsAfterFinished changes.
	PathJobTTL = "/mutate-job-ttl"
	// PathCronJob takes CronJobs of Namespaces whose label opts in.
	PathCronJob = "/validate-cronjob"
)

// Options are what the handlers need.
type Options struct {
	// Namespaces reads the metadata of Namespaces, as PartialObjectMetadata. It
	// may be slow or fail: the Namespace's defaults are then not validated.
	Namespaces client.Reader
	// ExcludedNamespaces are namespaces whose Jobs are admitted unchanged, besides those
	// that the configurations exclude.
	ExcludedNamespaces []string
	// TTLFloor is the minimum ttlSecondsAfterFinished of a stamped Job.
	TTLFloor time.Duration
	// Defaults are the operator's.
	Defaults policy.Defaults
	// RetentionOff is true if retention does not delete results.
	RetentionOff bool
	// Metrics counts the requests; nil disables counting.
	Metrics Metrics
}

// Metrics counts admission requests, as metrics.Admission does.
type Metrics interface {
	// Answered counts a request, and whether it was answered with warnings.
	Answered(kind policy.AdmissionKind, result policy.AdmissionResult, warned bool)
}

// Register makes server answer on the four paths. It panics if one of them is
// taken.
func Register(server webhook.Server, options Options) {
	counted := func(kind policy.AdmissionKind, handler answerer) *admission.Webhook {
		return &admission.Webhook{Handler: outOfTheWay(kind, options.Metrics, handler)}
	}
	server.Register(PathJobInNamespace, counted(policy.AdmissionJob, &jobHandler{Options: options, namespaceOptedIn: true}))
	server.Register(PathJob, counted(policy.AdmissionJob, &jobHandler{Options: options}))
	server.Register(PathJobTTL, counted(policy.AdmissionJobTTL, &ttlHandler{Options: options}))
	server.Register(PathCronJob, counted(policy.AdmissionCronJob, &cronJobHandler{defaults: options.Defaults, retentionOff: options.RetentionOff}))
}
