package podlogs

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
)

const (
	// maxObjects is how many objects keep captures of one Job, of each kind.
	maxObjects = 64
	// copies is how often what may be stored of a Job they may hold together, and
	// mostAbove how many bytes more than that at most.
	copies    = 4
	mostAbove = 4 << 20
	// promptObjects is how many objects are written as soon as a pod is due. The
	// pauses after those double, up to longestPause, so that a Job that loses
	// pod after pod fills objects rather than their number.
	promptObjects = 16
	longestPause  = 5 * time.Minute
	// The pauses after an API server that is busy or away.
	firstRetry   = time.Second
	longestRetry = 20 * time.Second
	// watchedFrom is how much younger than the watch of pods a Job is at least that
	// was seen from its start: the API server's clock may be another.
	watchedFrom = time.Minute
)

// saved remembers what this process stored of captures before their Jobs had
// finished. What it does not know of, an earlier process may have stored. The
// zero value is ready.
type saved struct {
	mu   sync.Mutex
	byID map[types.UID]*savedJob
	// since is when this process began to watch pods; zero: it does not.
	since time.Time
	// earlier are the Jobs of which ConfigMaps kept captures then, and those of which
	// there are some although byID has forgotten them; nil: nobody knows.
	earlier sets.Set[types.UID]
}

// savedJob is what was stored of one Job.
type savedJob struct {
	// numbers is the number of the next object of each kind.
	numbers map[string]int
	bytes   int
	// objects are those that were found to be as they should be.
	objects map[objectName]savedObject
	// most is what an object may hold; less once the API server found one too large.
	most int
	// next is when to try again, zero: at any time.
	next     time.Time
	failures int
}

func (s *saved) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}

// found notes of which Jobs ConfigMaps kept captures when this process began.
func (s *saved) found(earlier sets.Set[types.UID]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.earlier = earlier
}

// met notes that an object was there already that would keep captures of the Job:
// what was found when this process began is not all there is.
func (s *saved) met(job types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.earlier != nil {
		s.earlier.Insert(job)
	}
}

// mayBeEarlier reports whether an earlier process may have stored captures of the
// Job in objects of this kind, or in ConfigMaps.
func (s *saved) mayBeEarlier(job types.UID, kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return kind != api.ResultsKindConfigMap || s.earlier == nil || s.earlier.Has(job)
}

// sawStart reports whether a Job that was created then was seen by this process
// all the time.
func (s *saved) sawStart(created time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && created.After(s.since.Add(watchedFrom))
}

// kinds returns the kinds of objects that captures of a Job may be in, and how
// many of each are known: its own, those before its annotation was changed, and
// ConfigMaps, which are what there is without one.
func (s *saved) kinds(job types.UID, own string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := map[string]int{own: 0, api.ResultsKindConfigMap: 0}
	if known := s.byID[job]; known != nil {
		maps.Copy(kinds, known.numbers)
	}
	return kinds
}

// wait returns how long captures of the Job are not to be stored yet.
func (s *saved) wait(job types.UID, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[job]
	if known == nil {
		return 0
	}
	return max(0, known.next.Sub(now))
}

// room returns what the next object of the Job may hold, where all of them are
// to hold total bytes at most: no more than half of what is left, so that there is
// room for a later one. It is 0 where that is too little.
func (s *saved) room(job types.UID, total int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	room := min(api.MaxResultsBytes, known.most, (total-known.bytes)/2)
	if room < results.MinBytes {
		return 0
	}
	return room
}

// number returns the number of the next object of a kind.
func (s *saved) number(job types.UID, kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(job).numbers[kind]
}

// taken notes that an object of this number is there, with so many bytes that
// are this Job's.
func (s *saved) taken(job types.UID, kind string, number, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.numbers[kind] = max(known.numbers[kind], number+1)
	known.bytes += bytes
}

// stored notes that what was due is stored.
func (s *saved) stored(job types.UID, kind string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.failures, known.next = 0, time.Time{}
	if more := known.numbers[kind] - promptObjects; more > 0 {
		known.next = now.Add(min(longestPause, capture.SpillAfter<<min(more, 10)))
	}
}

// smaller has the objects of the Job be smaller from now on, and reports whether
// they can be.
func (s *saved) smaller(job types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	size, ok := resultstore.Smaller(known.most)
	if ok {
		known.most = size
	}
	return ok
}

// failed counts a try that failed, and returns how many did one after the other.
func (s *saved) failed(job types.UID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.failures++
	return known.failures
}

// pause has nothing of the Job be stored until then.
func (s *saved) pause(job types.UID, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(job).next = until
}

// forget drops what is known of a Job that is gone, or left alone. In case it comes
// back, it stays known that there are objects of it.
func (s *saved) forget(job types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.byID[job]; known != nil && len(known.numbers) > 0 && s.earlier != nil {
		s.earlier.Insert(job)
	}
	delete(s.byID, job)
}

// done drops the rest of what is known of a Job that was stored.
func (s *saved) done(job types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.earlier.Delete(job)
}

func (s *saved) get(job types.UID) *savedJob {
	if s.byID == nil {
		s.byID = map[types.UID]*savedJob{}
	}
	if s.byID[job] == nil {
		s.byID[job] = &savedJob{numbers: map[string]int{}, most: api.MaxResultsBytes}
	}
	return s.byID[job]
}
