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
	// maxObjects bounds the objects with captures of one Job, of each kind.
	maxObjects = 64
	// All captures of a Job may have copies times the bytes that its results may have,
	// and at most mostAbove bytes more than these.
	copies    = 4
	mostAbove = 4 << 20
	// promptObjects is how many objects are written as soon as a pod is due. The pauses
	// after those double, up to longestPause: a Job that loses many pods then gets few
	// full objects rather than many small ones.
	promptObjects = 16
	longestPause  = 5 * time.Minute
	// The pauses after an API server that is busy or away.
	firstRetry   = time.Second
	longestRetry = 20 * time.Second
	// A Job that is watchedFrom younger than the watch of pods was watched from its
	// start. The margin allows for the API server's clock.
	watchedFrom = time.Minute
)

// saved remembers the captures that this process saved beside Jobs. An earlier process may
// have saved others. The zero value is ready.
type saved struct {
	mu   sync.Mutex
	byID map[types.UID]*savedJob
	// since is when this process began to watch pods; zero means that it does not.
	since time.Time
	// earlier are the Jobs that had captures in ConfigMaps then, and those that have some
	// although byID forgot them; nil means unknown.
	earlier sets.Set[types.UID]
}

// savedJob is what is known about the saved captures of one Job.
type savedJob struct {
	// numbers is the number of the next object of each kind.
	numbers map[string]int
	bytes   int
	// objects are those that this process created or verified.
	objects map[objectName]savedObject
	// most bounds the bytes of an object. It shrinks when the API server finds one too
	// large.
	most int
	// next is when to try again; zero means at any time.
	next     time.Time
	failures int
}

func (s *saved) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}

// found records the Jobs that had captures in ConfigMaps when this process began.
func (s *saved) found(earlier sets.Set[types.UID]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.earlier = earlier
}

// met records that an object with the name of a capture already exists: the list of when
// this process began is not complete for the Job.
func (s *saved) met(job types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.earlier != nil {
		s.earlier.Insert(job)
	}
}

// mayBeEarlier reports whether an earlier process may have saved captures of the Job in
// objects of this kind, or in ConfigMaps.
func (s *saved) mayBeEarlier(job types.UID, kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return kind != api.ResultsKindConfigMap || s.earlier == nil || s.earlier.Has(job)
}

// sawStart reports whether this process has watched a Job that was created then from its
// start.
func (s *saved) sawStart(created time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && created.After(s.since.Add(watchedFrom))
}

// kinds returns the kinds of objects that may hold captures of a Job, and how many of each
// are known: its own kind, kinds from before its annotation changed, and ConfigMaps, the
// default.
func (s *saved) kinds(job types.UID, own string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := map[string]int{own: 0, api.ResultsKindConfigMap: 0}
	if known := s.byID[job]; known != nil {
		maps.Copy(kinds, known.numbers)
	}
	return kinds
}

// wait returns how long to wait before saving captures of the Job.
func (s *saved) wait(job types.UID, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byID[job]
	if known == nil {
		return 0
	}
	return max(0, known.next.Sub(now))
}

// room returns how many bytes the next object of the Job may have, if all may have total
// bytes. It is at most half of the rest, to leave room for a later object, and 0 if that
// is too little.
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

// exists records that an object with this number exists, and how many bytes in it are
// this Job's.
func (s *saved) exists(job types.UID, kind string, number, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.numbers[kind] = max(known.numbers[kind], number+1)
	known.bytes += bytes
}

// stored records that the due captures are saved.
func (s *saved) stored(job types.UID, kind string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.failures, known.next = 0, time.Time{}
	if more := known.numbers[kind] - promptObjects; more > 0 {
		known.next = now.Add(min(longestPause, capture.SpillAfter<<min(more, 10)))
	}
}

// smaller makes the next objects of the Job smaller, and reports whether that is possible.
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

// failed counts a failed try, and returns how many failed in a row.
func (s *saved) failed(job types.UID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.get(job)
	known.failures++
	return known.failures
}

// pause delays saving captures of the Job.
func (s *saved) pause(job types.UID, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(job).next = until
}

// forget drops what is known about a Job that is gone, or left alone. If the Job has
// objects, earlier still has it, in case it comes back.
func (s *saved) forget(job types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.byID[job]; known != nil && len(known.numbers) > 0 && s.earlier != nil {
		s.earlier.Insert(job)
	}
	delete(s.byID, job)
}

// done drops the rest of what is known about a Job whose results are stored.
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
