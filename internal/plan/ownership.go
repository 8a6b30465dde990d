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
var ownershipRules = []func(job *batchv1.Job, own policy.LeftAlone) (Ownership, bool){
	managedByOther,
	hook,
	tracked,
	ownedByCronJob,
	ownedByOther,
}

// OwnershipOf returns whether job is ours to delete. A Job without owner that no
// tool tracks is, unless it has a mark of own; so is one that only its CronJob owns. Where the CronJob is its
// controller too, TookNote says from when on.
func OwnershipOf(job *batchv1.Job, own policy.LeftAlone) Ownership {
	for _, rule := range ownershipRules {
		if ownership, matches := rule(job, own); matches {
			return ownership
		}
	}
	return Ownership{Ours: true}
}

func managedByOther(job *batchv1.Job, _ policy.LeftAlone) (Ownership, bool) {
	manager := job.Spec.ManagedBy
	if manager == nil || *manager == "" || *manager == batchv1.JobControllerName {
		return Ownership{}, false
	}
	return Ownership{Why: "spec.managedBy is " + *manager}, true
}

func hook(job *batchv1.Job, _ policy.LeftAlone) (Ownership, bool) {
	by, is := policy.Hook(job)
	return Ownership{Why: "it is a hook (" + by + ")"}, is
}

func tracked(job *batchv1.Job, own policy.LeftAlone) (Ownership, bool) {
	by, is := policy.Tracked(job, own)
	return Ownership{Why: "it is tracked (" + by + ")"}, is
}

func ownedByCronJob(job *batchv1.Job, _ policy.LeftAlone) (Ownership, bool) {
	return Ownership{Ours: true}, len(job.OwnerReferences) == 1 && isCronJob(job.OwnerReferences[0])
}

func ownedByOther(job *batchv1.Job, _ policy.LeftAlone) (Ownership, bool) {
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

// NamedCronJob returns the CronJob that the Job belongs to, its controller or,
// where dashboards and older tools left that out of the ownerReference, its first
// owner of this kind; false if it belongs to none.
func NamedCronJob(job *batchv1.Job) (Owner, bool) {
	if owner, made := CronJobOf(job); made {
		return owner, true
	}
	if metav1.GetControllerOfNoCopy(job) != nil {
		return Owner{}, false
	}
	for _, owner := range job.OwnerReferences {
		if isCronJob(owner) {
			return Owner{Name: owner.Name, UID: owner.UID}, true
		}
	}
	return Owner{}, false
}

// CronJobOf returns the CronJob that controls the Job, and false if none does. The
// CronJob controller looks at no other Jobs: it neither lists a Job of which its
// CronJob is a mere owner in status.active, nor deletes it by its history limits.
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
