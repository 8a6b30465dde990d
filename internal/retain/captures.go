package retain

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// CaptureAge is for how long captures are left to the Job controller, which
	// deletes them as soon as their Job's results are stored.
	CaptureAge = time.Hour
	// mostCaptures bounds how many objects with captures a survey remembers; the
	// next one finds others.
	mostCaptures = 10_000
)

// Captures are what is kept of deleted pods of one Job.
type Captures struct {
	Namespace, JobName string
	JobUID             types.UID
	Refs               []Ref
}

// captures are those that may be left over.
type captures struct {
	of       map[captureGroup]*Captures
	captured int
}

// captureGroup tells captures of different Jobs apart.
type captureGroup struct {
	namespace string
	job       types.UID
}

// add takes in an object of class Captured, unless it is young.
func (c *captures) add(kind string, object metav1.Object, now time.Time) {
	if now.Sub(object.GetCreationTimestamp().Time) < CaptureAge || c.captured >= mostCaptures {
		return
	}
	job, _ := CaptureOf(object)
	key := captureGroup{object.GetNamespace(), job.UID}
	if c.of[key] == nil {
		c.of[key] = &Captures{Namespace: object.GetNamespace(), JobName: job.Name, JobUID: job.UID}
	}
	c.of[key].Refs = append(c.of[key].Refs, RefOf(kind, object))
	c.captured++
}

// Captures returns what is old enough to be left over from Jobs whose results are
// stored, once everything was added.
func (s *Survey) Captures() []*Captures {
	list := make([]*Captures, 0, len(s.captures.of))
	for _, c := range s.captures.of {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Captures) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.JobName, b.JobName), cmp.Compare(a.JobUID, b.JobUID))
	})
	return list
}
