package oracle_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
)

const (
	// jobsPerNamespace is how many Jobs of a schedule share a namespace.
	jobsPerNamespace = 50
	// longestFault is how often requests of one kind about one Job are hit, so
	// that all come to their end.
	longestFault = 5
	// longestLogFault is the same for logs, which are read again more slowly.
	longestLogFault = 2
	// afterFailure is for how long each of the other Jobs is waited for once one was
	// in vain.
	afterFailure = 5 * time.Second
	// scheduledScan is how often Jobs are looked for that admission missed.
	scheduledScan = 10 * time.Second
)

// scheduled are the flows of a schedule, each as often as it is to be there.
var scheduled = []flow{
	success, success, success, success, success, success, failure, failure, failure, failure,
	keptSuccess, keptSuccess, delayed, unseenTTL, unseenTTL, successInParts,
	protectedSuccess, protectedFailure, unseenProtection, unseenJob, followedSuccess, capturedSuccess, malformedSuccess, forgedFailure,
}

// schedule is what happens to Jobs, all of it by a seed. Whether a request is
// hit, and by what, depends on the seed, the Job, what is asked, and how often it
// was asked before: not on what other Jobs do meanwhile.
type schedule struct {
	*scene
	seed uint64

	mu    sync.Mutex
	asked map[string]int
	jobs  map[string]*plannedJob
	hits  map[string]int
}

// plannedJob is a Job of a schedule, and what its users do meanwhile.
type plannedJob struct {
	flow      flow
	namespace string
	name      string
	// taken: its results' name is somebody else's.
	taken bool
	// lost: its results are deleted by a user before they are reported.
	lost bool
	// labelled: a user labels it before it is deleted.
	labelled bool
	// replacedAt: it is deleted and created anew before this write, 0: never.
	replacedAt int
	// deletedAt: it is protected, and deleted before this write, 0: never.
	deletedAt int

	mu     sync.Mutex
	writes int
	runs   []*batchv1.Job
}

// testSchedule lets the schedule of a seed happen to so many Jobs.
func testSchedule(t *testing.T, w *world, seed uint64, jobs int) {
	s := &schedule{scene: w.newScene(t), seed: seed, asked: map[string]int{}, jobs: map[string]*plannedJob{}, hits: map[string]int{}}
	s.settings.scan = scheduledScan
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to see it again: make soak SEED=%d JOBS=%d", seed, jobs)
		}
	})
	namespaces := []string{s.namespace}
	for len(namespaces)*jobsPerNamespace < jobs {
		namespaces = append(namespaces, w.newNamespace(s.t.Context(), t))
	}
	for i := range jobs {
		s.plan(i, namespaces[i%len(namespaces)])
	}
	ended := s.keepRunning(namespaces)
	defer ended()
	for _, job := range s.jobs {
		job.create(s)
	}
	for _, job := range s.jobs {
		s.settles(job)
	}
	ended()
	t.Logf("seed %d, %d Jobs, %d processes, faults: %v", seed, jobs, len(s.processes), s.hits)
}

// plan decides about a Job.
func (s *schedule) plan(i int, namespace string) {
	r := rand.New(rand.NewPCG(s.seed, uint64(i)))
	f := scheduled[r.IntN(len(scheduled))]
	job := &plannedJob{flow: f, namespace: namespace, name: fmt.Sprintf("job-%d", i)}
	deleted := f.writes[len(f.writes)-1] == deleteJob
	if f.meanwhile != nil || f.unseen == missedAll || policy.Protected(f.job(namespace, job.name)) {
		// Enough happens to it.
		job.deletedAt = 0
		if f.name == protectedSuccess.name || f.name == protectedFailure.name {
			job.deletedAt = r.IntN(len(f.writes))
		}
		s.jobs[job.namespace+"/"+job.name] = job
		return
	}
	switch r.IntN(10) {
	case 0, 1:
		job.taken = true
	case 2:
		job.lost = deleted
	case 3:
		job.labelled = deleted
	case 4, 5:
		job.replacedAt = 1 + r.IntN(len(f.writes))
	}
	s.jobs[job.namespace+"/"+job.name] = job
}

func (j *plannedJob) create(s *schedule) {
	s.t.Helper()
	if j.taken {
		other := foreign(j.namespace, j.name+api.ResultsSuffix)
		other.Data = map[string]string{"config": "mine"}
		s.put(other)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs = append(j.runs, s.create(j.flow, j.flow.job(j.namespace, j.name)))
}

// keepRunning has a manager run, another one when it dies, until ended is called.
func (s *schedule) keepRunning(namespaces []string) (ended func()) {
	ctx, cancel := context.WithCancel(s.anytime())
	start := func() *process {
		l := newLink(nil)
		l.use(s.fault(l))
		return s.startOn(l, namespaces...)
	}
	p := start()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-p.dead:
				p = start()
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// jobName is how names of what belongs to a Job of a schedule start.
var jobName = regexp.MustCompile(`^job-[0-9]+`)

// fault is that of the schedule, for the process with this link.
func (s *schedule) fault(l *link) fault {
	return func(a asked, send answering) (*response, error) {
		key := a.namespace + "/" + jobName.FindString(a.name)
		job := s.jobs[key]
		if job == nil {
			return send()
		}
		if a.writes() {
			job.used(s, a)
		}
		name, f := s.drawn(l, key, a.what)
		if f == nil {
			return send()
		}
		s.mu.Lock()
		s.hits[name]++
		s.mu.Unlock()
		return f(a, send)
	}
}

// used lets users do to the Job what they do before a write.
func (j *plannedJob) used(s *schedule, a asked) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writes++
	run := j.runs[len(j.runs)-1]
	switch {
	case j.writes == j.deletedAt:
		if err := s.deleteRun(run); client.IgnoreNotFound(err) != nil {
			s.t.Error(err)
		}
	case j.writes == j.replacedAt:
		s.remove(run)
		j.runs = append(j.runs, s.run(j.flow.job(j.namespace, j.name)))
	case j.lost && a.what == patchJob:
		j.lost = false
		s.deleteObjects(run, func(*corev1.ConfigMap) bool { return true })
	case j.labelled && a.what == deleteJob:
		j.labelled = false
		s.change(run, func(job *batchv1.Job) { job.Labels["team"] = "x" })
	}
}

// drawn returns the fault that hits the next request for what about a Job, nil
// for none.
func (s *schedule) drawn(l *link, key, what string) (string, fault) {
	s.mu.Lock()
	s.asked[key+" "+what]++
	n := s.asked[key+" "+what]
	s.mu.Unlock()
	// The log of a pod that goes cannot always be read once more.
	fragile := what == readLog && s.jobs[key].flow.fragile != ""
	if n > longestFault || what == readLog && n > longestLogFault || fragile {
		return "", nil
	}
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, jobName.FindString(key[len(s.jobs[key].namespace)+1:])+" "+what+" "+strconv.Itoa(n))
	r := rand.New(rand.NewPCG(s.seed, hash.Sum64()))
	// Of a thousand. A crash hits all Jobs that are in the middle of something.
	odds := r.IntN(1000)
	switch {
	case odds < 2:
		return "crash instead", crashInstead(l)
	case odds < 4:
		return "crash after", crashAfter(l)
	case odds < 64:
		return "lost request", loseRequest(l)
	case odds < 124:
		return "lost answer", loseAnswer(l)
	case odds < 224:
		a := passing[r.IntN(len(passing))]
		return a.name, a.answer
	case odds < 304:
		return "late", late(time.Duration(r.IntN(400)) * time.Millisecond)
	case odds < 384 && what == readLog:
		return "log cut", cut(n)
	default:
		return "", nil
	}
}

// late sends a request a while later.
func late(by time.Duration) fault {
	return before(func() { time.Sleep(by) }) //nolint:forbidigo // the fault is that it takes time
}

// cut ends an answer in its middle, as if that were its end, and the nth answer
// not where others end: that a log and the look at its end are cut at the same
// byte cannot be told from a log that ends there.
func cut(n int) fault {
	return func(_ asked, send answering) (*response, error) {
		answer, err := send()
		if err == nil && answer.StatusCode == http.StatusOK {
			answer.Body = &beginning{ReadCloser: answer.Body, share: n + 1}
		}
		return answer, err
	}
}

// beginning is a body of which a share of what comes first is there.
type beginning struct {
	io.ReadCloser
	share int
	ended bool
}

func (b *beginning) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	b.ended = true
	n, err := b.ReadCloser.Read(p)
	return n / b.share, err
}

// settles waits until a Job has left what it should.
func (s *schedule) settles(job *plannedJob) {
	s.t.Helper()
	want := s.clean[job.flow.name].named(job.name)
	main, short := job.name+api.ResultsSuffix, job.name+api.ResultsSuffix+"-<uid8>"
	wants := []endState{want}
	if job.flow.warned != nil {
		// What was wrong may have gone unsaid.
		wants = append(wants, want.with())
	}
	if job.flow.fragile != "" {
		wants = append(wants, s.clean[job.flow.fragile].named(job.name), want.cutOff())
	}
	if job.deletedAt > 0 {
		gone := want
		gone.Job = nil
		wants = append(wants, gone)
	}
	if job.taken {
		wants = []endState{want.renamed(main, short)}
	}
	if job.replacedAt > 0 {
		wants = append(wants, want.renamed(main, short))
	}
	var run *batchv1.Job
	var got endState
	limit := soon
	if s.t.Failed() {
		// The others had that time too.
		limit = afterFailure
	}
	err := s.within(limit, func() (bool, error) {
		job.mu.Lock()
		run = job.runs[len(job.runs)-1]
		job.mu.Unlock()
		var err error
		got, err = s.observe(s.t.Context(), run)
		compared := got.with(slices.DeleteFunc(slices.Clone(got.Warnings), func(text string) bool { return !slices.Contains(job.flow.warned, text) })...)
		for _, want := range wants {
			if err == nil && cmp.Equal(want, compared) {
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		s.t.Errorf("%s/%s, %s, taken %t, replaced at %d: %v\n-want +got\n%s",
			run.Namespace, run.Name, job.flow.name, job.taken, job.replacedAt, err, cmp.Diff(wants[0], got))
		return
	}
	s.scene.mu.Lock()
	s.runs = append(s.runs, expected{run, got})
	s.scene.mu.Unlock()
	job.mu.Lock()
	defer job.mu.Unlock()
	for _, earlier := range job.runs[:len(job.runs)-1] {
		s.noMoreOf(earlier, nil)
	}
}
