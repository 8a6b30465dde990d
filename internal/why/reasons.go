package why

import "k8s.io/apimachinery/pkg/util/sets"

// quotable are the reasons that Kubernetes' own components give, and that may be quoted
// where no text of others is: in Events of ours. Others are in the results only.
var quotable = sets.New(
	// Why a container waits. https://pkg.go.dev/k8s.io/kubernetes/pkg/kubelet/images, …/kuberuntime, …/container
	"InvalidImageName", "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
	"SignatureValidationFailed", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff",
	"PreStartHookError", "PostStartHookError", "CreatePodSandboxError", "ConfigPodSandboxError",
	// How one ended.
	"OOMKilled", "Error", "StartError", "ContainerCannotRun", "DeadlineExceeded", "ContainerStatusUnknown",
	// Why a pod was not scheduled, or had to go.
	"Unschedulable", "SchedulingGated", "SchedulerError", "Evicted", "Preempting", "PreemptionByScheduler", "DeletionByTaintManager",
	"EvictionByEvictionAPI", "DeletionByPodGC", "TerminationByKubelet", "NodeLost", "NodeShutdown", "Terminated", "Shutdown",
	"NodeAffinity", "NodePorts", "OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "UnexpectedAdmissionError",
	"TopologyAffinityError", "PodOSSelectorNodeLabelDoesNotMatch", "PodOSNotSupported", "InvalidNodeInfo", "Killed",
	// Events.
	"FailedScheduling", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedBinding", "FailedCreatePodSandBox",
	"FailedPodSandBoxStatus", "NetworkNotReady", "FailedCreate", "FailedValidation", "Failed", "BackOff", "InspectFailed",
	"Unhealthy", "FailedPostStartHook", "FailedPreStopHook", "NodeNotReady", "ProvisioningFailed", "FailedSync",
)

// explaining orders the reasons of Events about a pod that did not start by how much
// they explain: the first found counts. Others come after them.
var explaining = []string{
	"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady", "FailedScheduling",
	"Failed", "InspectFailed", "BackOff",
}

// consequences are reasons of Events that repeat what the Job's condition says, or
// that come of a pod's end rather than lead to it.
var consequences = sets.New(
	"BackoffLimitExceeded", "DeadlineExceeded", "ExceededGracePeriod", "FailedKillPod", "FailedPreStopHook", "PodFailurePolicy",
	"MaxFailedIndexesExceeded", "FailedIndexes", "SuccessPolicy", "JobProcessing",
)
