package capture

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// keptPods are the pods that are kept, by the UID of their Job. Captures.mu guards it.
type keptPods struct {
	jobs map[types.UID][]*pod
	pods int
	// earlier counts the logs that are kept of instances before the last two.
	earlier earlierLogs
	// onlyStored are the Jobs of which pods that were dropped here are stored.
	onlyStored map[types.UID]bool
	// dropped counts the pods of which nothing is left.
	dropped int64
}

func newKeptPods() keptPods {
	return keptPods{jobs: map[types.UID][]*pod{}, onlyStored: map[types.UID]bool{}}
}

// get returns what is kept of a pod, nil if nothing is.
func (k *keptPods) get(job, uid types.UID) *pod {
	for _, p := range k.jobs[job] {
		if p.object.UID == uid {
			return p
		}
	}
	return nil
}

// add keeps one more pod, and makes room for it. It reports whether there is room.
func (k *keptPods) add(p *pod) bool {
	if !k.makeRoom(p.job) {
		k.dropped++
		return false
	}
	k.jobs[p.job] = append(k.jobs[p.job], p)
	k.pods++
	return true
}

// forget drops all pods of the Job.
func (k *keptPods) forget(job types.UID) {
	for _, p := range k.jobs[job] {
		p.drop()
		k.earlier.set(p, 0)
	}
	k.pods -= len(k.jobs[job])
	delete(k.jobs, job)
	delete(k.onlyStored, job)
}

// anyFollowed reports whether a log of a pod of the Job is being followed.
func (k *keptPods) anyFollowed(job types.UID) bool {
	return slices.ContainsFunc(k.jobs[job], (*pod).following)
}

// makeRoom drops the pod seen first, one that is still there rather than another,
// of the Job if that has its most, or of the Job with the most, of the namespace with
// the most, if there are too many altogether. It reports whether there is room for a pod more: pods whose
// logs are followed are not dropped.
func (k *keptPods) makeRoom(job types.UID) bool {
	if k.pods >= maxPods {
		return k.dropOldest(k.largest())
	}
	return len(k.jobs[job]) < maxPodsOfJob || k.dropOldest(job)
}

// largest returns the Job with the most pods, of the namespace with the most.
func (k *keptPods) largest() (job types.UID) {
	namespaces := map[string]int{}
	for _, pods := range k.jobs {
		if len(pods) > 0 {
			namespaces[pods[0].object.Namespace] += len(pods)
		}
	}
	most, ofJob := 0, 0
	for other, pods := range k.jobs {
		if len(pods) == 0 {
			continue
		}
		if n := namespaces[pods[0].object.Namespace]; n > most || n == most && len(pods) > ofJob {
			job, most, ofJob = other, n, len(pods)
		}
	}
	return job
}

func (k *keptPods) dropOldest(job types.UID) bool {
	return k.drop(job, func(p *pod) bool { return p.stored && !p.following() }) ||
		k.drop(job, func(p *pod) bool { return !p.following() && !p.leaving() }) ||
		k.drop(job, func(p *pod) bool { return !p.following() })
}

// drop drops the first pod of the Job for which may is true, if there is one.
func (k *keptPods) drop(job types.UID, may func(*pod) bool) bool {
	i := slices.IndexFunc(k.jobs[job], may)
	if i < 0 {
		return false
	}
	k.noteDropped(job, k.jobs[job][i])
	k.jobs[job][i].drop()
	k.earlier.set(k.jobs[job][i], 0)
	k.jobs[job] = append(k.jobs[job][:i:i], k.jobs[job][i+1:]...)
	k.pods--
	return true
}

// noteDropped takes note that p is kept here no longer.
func (k *keptPods) noteDropped(job types.UID, p *pod) {
	if p.stored {
		k.onlyStored[job] = true
		return
	}
	k.dropped++
}
