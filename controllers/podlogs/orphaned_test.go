package podlogs

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pods of a Job are remembered until it is forgotten, and no longer.
func TestOrphans(t *testing.T) {
	var o orphans
	o.note("a", ownedBy("Job", "job-uid"))
	o.note("b", ownedBy("Job", "job-uid"))
	o.note("c", ownedBy("Job", "other-uid"))
	for pod, job := range map[types.UID]types.UID{"a": "job-uid", "b": "job-uid", "c": "other-uid"} {
		if !o.has(job, pod) || o.has("another", pod) || o.owner(pod).UID != job {
			t.Errorf("%s: of %q", pod, o.owner(pod).UID)
		}
	}
	o.forget("job-uid")
	o.forget("job-uid")
	if o.has("job-uid", "a") || o.has("job-uid", "b") || !o.has("other-uid", "c") {
		t.Error("the wrong ones are forgotten")
	}
	o.forget("other-uid")
	if len(o.byPod) > 0 || len(o.byJob) > 0 {
		t.Errorf("%d pods of %d Jobs are remembered", len(o.byPod), len(o.byJob))
	}
}

func ownedBy(kind string, uid types.UID) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "batch/v1", Kind: kind, Name: "report", UID: uid, Controller: new(true)}
}
