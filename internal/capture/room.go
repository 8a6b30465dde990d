package capture

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// makeRoom drops the pod seen first, one that is still there rather than another,
// of the Job if that has its most, or of the Job with the most, of the namespace with
// the most, if there are too many altogether. It reports whether there is room for a pod more: pods whose
// logs are followed are not dropped.
func (c *Captures) makeRoom(job types.UID) bool {
	if c.pods >= maxPods {
		return c.dropOldest(c.largest())
	}
	return len(c.jobs[job]) < maxPodsOfJob || c.dropOldest(job)
}

// largest returns the Job with the most pods, of the namespace with the most.
func (c *Captures) largest() (job types.UID) {
	namespaces := map[string]int{}
	for _, pods := range c.jobs {
		if len(pods) > 0 {
			namespaces[pods[0].object.Namespace] += len(pods)
		}
	}
	most, ofJob := 0, 0
	for other, pods := range c.jobs {
		if len(pods) == 0 {
			continue
		}
		if n := namespaces[pods[0].object.Namespace]; n > most || n == most && len(pods) > ofJob {
			job, most, ofJob = other, n, len(pods)
		}
	}
	return job
}

func (c *Captures) dropOldest(job types.UID) bool {
	return c.drop(job, func(p *pod) bool { return p.stored && !p.following() }) ||
		c.drop(job, func(p *pod) bool { return !p.following() && !p.leaving() }) ||
		c.drop(job, func(p *pod) bool { return !p.following() })
}

// drop drops the first pod of the Job for which may is true, if there is one.
func (c *Captures) drop(job types.UID, may func(*pod) bool) bool {
	i := slices.IndexFunc(c.jobs[job], may)
	if i < 0 {
		return false
	}
	c.noteDropped(job, c.jobs[job][i])
	c.jobs[job][i].drop()
	c.earlier.set(c.jobs[job][i], 0)
	c.jobs[job] = append(c.jobs[job][:i:i], c.jobs[job][i+1:]...)
	c.pods--
	return true
}
