package retain

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
)

// Reason is why an object goes.
type Reason string

// The reasons.
const (
	// ReasonExpired: the time in expires-at has come.
	ReasonExpired Reason = "expired"
	// ReasonSurplus: there are enough newer results of the same CronJob with the
	// same outcome.
	ReasonSurplus Reason = "surplus"
	// ReasonPart: the results that list the part were deleted.
	ReasonPart Reason = "part"
	// ReasonOrphan: no results list the part.
	ReasonOrphan Reason = "orphan"
	// ReasonCapture: the results of the Job whose logs are captured are stored.
	ReasonCapture Reason = "capture"
)

// Options say what is kept.
type Options struct {
	// KeepCompleted and KeepFailed are how many results of a CronJob are kept, of
	// its newest runs with that outcome; 0: all.
	KeepCompleted, KeepFailed int
	// Horizon is how far ahead of now Soon looks.
	Horizon time.Duration
}

// Candidate is a results object that should go.
type Candidate struct {
	Ref
	Reason Reason
}

// Due are results that are to go at a time.
type Due struct {
	Ref
	At time.Time
}

// Parts are parts of the results called Of of one run.
type Parts struct {
	Kind, Namespace, Of string
	JobName             string
	JobUID              types.UID
	Refs                []Ref
}

// Survey takes in the metadata of all objects, in any order, and keeps what is
// to be done about some. Of an object that stays it keeps a few bytes at most.
type Survey struct {
	// Expired are results whose time has come.
	Expired []Candidate
	// Soon are results whose time comes before the horizon, in no order.
	Soon []Due
	// Bytes is what objects of ours take in each namespace.
	Bytes map[string]int64
	// Counts is how many objects of each class there are.
	Counts map[Class]int
	// Malformed counts results with an expires-at that cannot be read, which are
	// kept; Complaint says so of the first.
	Malformed int
	Complaint string

	now     time.Time
	options Options
	surplus []Candidate
	newest  map[series]*newest
	// names has hashes of those of results seen so far: two that are taken for one
	// put off a look at parts until the next survey, which has another seed.
	names sets.Set[uint64]
	seed  maphash.Seed
	// settled are the parts that were found to be listed, before this survey and
	// still.
	before, settled sets.Set[types.UID]
	parts           map[group]*Parts
	captures        captures
}

// series are the results of a CronJob's runs with one outcome. The label shortens
// long names, in a way that keeps them apart.
type series struct{ namespace, cronJob, status string }

// name is that of an object.
type name struct{ kind, namespace, name string }

// group are the parts of one build of results.
type group struct {
	of  name
	job types.UID
}

// NewSurvey returns an empty survey as of now. settled are parts that Settled
// returned before: they are passed over while results of the right name are
// there.
func NewSurvey(now time.Time, options Options, settled sets.Set[types.UID]) *Survey {
	return &Survey{
		Bytes: map[string]int64{}, Counts: map[Class]int{}, now: now, options: options,
		newest: map[series]*newest{}, names: sets.New[uint64](), seed: maphash.MakeSeed(), before: settled,
		settled: sets.New[types.UID](), parts: map[group]*Parts{}, captures: captures{of: map[captureGroup]*Captures{}},
	}
}

// Add takes in an object of a kind of results. Those that are being deleted
// count for nothing.
func (s *Survey) Add(kind string, object metav1.Object) {
	if object.GetDeletionTimestamp() != nil {
		return
	}
	class := ClassOf(object)
	s.Counts[class]++
	switch class {
	case Results:
		s.Bytes[object.GetNamespace()] += Bytes(object)
		s.addResults(kind, object)
	case Part:
		s.Bytes[object.GetNamespace()] += Bytes(object)
		s.addPart(kind, object)
	case Captured:
		s.Bytes[object.GetNamespace()] += Bytes(object)
		s.captures.add(kind, object, s.now)
	case Foreign:
	}
}

func (s *Survey) addResults(kind string, object metav1.Object) {
	s.names.Insert(s.hash(name{kind, object.GetNamespace(), object.GetName()}))
	ref := RefOf(kind, object)
	at, expires, err := Expiry(object)
	switch {
	case err != nil:
		s.complain(ref, err)
	case expires && !at.After(s.now):
		s.Expired = append(s.Expired, Candidate{ref, ReasonExpired})
		return
	case expires && at.Before(s.now.Add(s.options.Horizon)):
		s.Soon = append(s.Soon, Due{ref, at})
	}
	s.rank(ref, object)
}

func (s *Survey) complain(ref Ref, err error) {
	if s.Malformed == 0 {
		s.Complaint = ref.String() + ": " + err.Error()
	}
	s.Malformed++
}

// rank puts results among those of their CronJob, where these are counted.
func (s *Survey) rank(ref Ref, object metav1.Object) {
	labels := object.GetLabels()
	keep := s.options.KeepCompleted
	if labels[api.StatusLabel] == api.StatusFailed {
		keep = s.options.KeepFailed
	}
	if labels[api.CronJobLabel] == "" || keep == 0 {
		return
	}
	of := series{ref.Namespace, labels[api.CronJobLabel], labels[api.StatusLabel]}
	if s.newest[of] == nil {
		s.newest[of] = &newest{most: keep}
	}
	if dropped, full := s.newest[of].add(ref, createdAt(object)); full {
		s.surplus = append(s.surplus, Candidate{dropped, ReasonSurplus})
	}
}

func (s *Survey) addPart(kind string, object metav1.Object) {
	if !Orphanable(object, s.now) {
		return
	}
	labels, of := object.GetLabels(), object.GetAnnotations()[api.PartOfAnnotation]
	listing := name{kind, object.GetNamespace(), of}
	// Lists are in order of names, and parts are called as their results with more
	// behind it: those were seen before. Otherwise the part is looked at once more.
	if s.before.Has(object.GetUID()) && s.names.Has(s.hash(listing)) {
		s.settled.Insert(object.GetUID())
		return
	}
	key := group{listing, types.UID(labels[api.JobUIDLabel])}
	if s.parts[key] == nil {
		s.parts[key] = &Parts{
			Kind: kind, Namespace: object.GetNamespace(), Of: of,
			JobName: labels[api.JobNameLabel], JobUID: key.job,
		}
	}
	s.parts[key].Refs = append(s.parts[key].Refs, RefOf(kind, object))
}

// Candidates returns the results that should go, once everything was added.
func (s *Survey) Candidates() []Candidate {
	return slices.Concat(s.Expired, s.surplus)
}

// Suspects returns the parts of which it is not known whether results list them,
// once everything was added: first those whose results are not there.
func (s *Survey) Suspects() []*Parts {
	list := make([]*Parts, 0, len(s.parts))
	for _, parts := range s.parts {
		list = append(list, parts)
	}
	there := func(p *Parts) int {
		if s.names.Has(s.hash(name{p.Kind, p.Namespace, p.Of})) {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b *Parts) int {
		return cmp.Or(cmp.Compare(there(a), there(b)), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Of, b.Of), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.JobUID, b.JobUID))
	})
	return list
}

func (s *Survey) hash(n name) uint64 { return maphash.Comparable(s.seed, n) }

// Settle notes that results list the part.
func (s *Survey) Settle(part types.UID) { s.settled.Insert(part) }

// Settled returns the parts that results list, of those that are there.
func (s *Survey) Settled() sets.Set[types.UID] { return s.settled }
