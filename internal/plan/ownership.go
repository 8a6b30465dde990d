package plan

import (
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/policy"
)

// Ownership says whether a Job is ours to delete once its results are stored.
type Ownership struct {
	Ours bool
	// Why names who else has a say, for Jobs that are not ours.
	Why string
}

// ownershipRules is the whole table, first match wins. Deleting a Job that
// somebody else looks after makes that one run it again, or break.
var ownershipRules = []func(job *batchv1.Job) (Ownership, bool){
	managedByOther,
	hook,
	tracked,
	ownedByCronJob,
	ownedByOther,
}

// OwnershipOf returns whether job is ours to delete. A Job that nobody owns
// and nobody tracks is; so is one that only its CronJob owns, once the CronJob
// controller has taken note of its end.
func OwnershipOf(job *batchv1.Job) Ownership {
	for _, rule := range ownershipRules {
		if ownership, matches := rule(job); matches {
			return ownership
		}
	}
	return Ownership{Ours: true}
}

func managedByOther(job *batchv1.Job) (Ownership, bool) {
	manager := job.Spec.ManagedBy
	if manager == nil || *manager == "" || *manager == batchv1.JobControllerName {
		return Ownership{}, false
	}
	return Ownership{Why: "spec.managedBy is " + *manager}, true
}

func hook(job *batchv1.Job) (Ownership, bool) {
	by, is := policy.Hook(job)
	return Ownership{Why: "it is a hook (" + by + ")"}, is
}

func tracked(job *batchv1.Job) (Ownership, bool) {
	by, is := policy.Tracked(job)
	return Ownership{Why: "it is tracked (" + by + ")"}, is
}

func ownedByCronJob(job *batchv1.Job) (Ownership, bool) {
	_, is := CronJobOf(job)
	return Ownership{Ours: true}, is && len(job.OwnerReferences) == 1
}

func ownedByOther(job *batchv1.Job) (Ownership, bool) {
	if len(job.OwnerReferences) == 0 {
		return Ownership{}, false
	}
	owners := make([]string, 0, len(job.OwnerReferences))
	for _, owner := range job.OwnerReferences {
		owners = append(owners, owner.Kind+" "+owner.Name)
	}
	return Ownership{Why: "it is owned by " + strings.Join(owners, ", ")}, true
}

// Owner names an object by what an ownerReference says of it.
type Owner struct {
	Name string
	UID  types.UID
}

// CronJobOf returns the CronJob that made the Job, and false if none did.
func CronJobOf(job *batchv1.Job) (Owner, bool) {
	controller := metav1.GetControllerOfNoCopy(job)
	if controller == nil || !isCronJob(*controller) {
		return Owner{}, false
	}
	return Owner{Name: controller.Name, UID: controller.UID}, true
}

func isCronJob(owner metav1.OwnerReference) bool {
	return owner.Kind == "CronJob" && owner.APIVersion == batchv1.SchemeGroupVersion.String()
}
