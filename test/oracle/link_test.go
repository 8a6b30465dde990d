package oracle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// What the manager asks of the API server, as far as faults tell it apart.
const (
	createCapture = "create capture"
	createPart    = "create part"
	createResults = "create results"
	createEvent   = "create event"
	patchJob      = "patch job"
	deleteJob     = "delete job"
	// deleteCapture removes what the results of a Job that is kept hold as well.
	deleteCapture = "delete capture"

	getResults = "get results"
	// getCaptures: logs of pods that were deleted, stored by an earlier process.
	getCaptures = "get captures"
	getJob      = "get job"
	getOther    = "get"
	listPods    = "list pods"
	readLog     = "read log"
	watchJobs   = "watch jobs"
	otherWatch  = "watch"
	otherWrite  = "write"
)

// asked is one request of the manager.
type asked struct {
	what string
	// namespace and name are those of the object, as far as the request has them.
	namespace, name string
	// object is what is to be created.
	object client.Object
	// size is that of what is sent with it.
	size int
	// run is the UID of the Job that what is to be created is about, "" if it does
	// not say.
	run types.UID
	// tells is true of an Event that tells how a run ended.
	tells bool
	// toJob is true of a request that changes a Job, or deletes it, with these
	// guards.
	toJob  bool
	guards guards
}

// writes reports whether the request changes something.
func (a asked) writes() bool {
	switch a.what {
	case createCapture, createPart, createResults, createEvent, patchJob, deleteJob, deleteCapture, otherWrite:
		return true
	default:
		return false
	}
}

// fault stands between a request and the API server: send forwards it.
type (
	fault     func(a asked, send answering) (*response, error)
	answering func() (*response, error)
	response  = http.Response
)

// link is the connection of one process to the API server.
type link struct {
	// dead is closed when the process has died.
	dead chan struct{}

	mu     sync.Mutex
	fault  fault
	log    []answered
	thawed chan struct{}
}

// answered is a request with its answer's code, 0 if there was none.
type answered struct {
	asked
	code int
	// carriedOut is the code with which the API server answered, whatever came of
	// that, or unknown; 0 if it was not asked. It was asked at sent.
	carriedOut int
	sent, at   time.Time
}

// unknown is the code of a request that was broken off: it may have been carried out.
const unknown = -1

var (
	errDead = errors.New("the process is dead")
	errLost = errors.New("connection reset by the fault")
)

func newLink(f fault) *link {
	open := make(chan struct{})
	close(open)
	return &link{dead: make(chan struct{}), fault: f, thawed: open}
}

// wrap is a transport.WrapperFunc.
func (l *link) wrap(next http.RoundTripper) http.RoundTripper { return roundTripper{l, next} }

type roundTripper struct {
	*link
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.died() {
		return nil, errDead
	}
	a, err := classify(request)
	if err != nil {
		return nil, err
	}
	carriedOut, sent := 0, time.Time{}
	send := func() (*response, error) {
		carriedOut, sent = unknown, time.Now()
		answer, err := r.next.RoundTrip(request)
		if err == nil {
			carriedOut = answer.StatusCode
			answer.Body = &body{ReadCloser: answer.Body, link: r.link, watch: a.what == watchJobs}
		}
		return answer, err
	}
	answer, err := r.current()(a, send)
	r.note(a, answer, carriedOut, sent)
	if r.died() {
		if answer != nil {
			answer.Body.Close()
		}
		return nil, errDead
	}
	return answer, err
}

func (l *link) current() fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		return func(_ asked, send answering) (*response, error) { return send() }
	}
	return l.fault
}

// use has f stand between from now on; nil: nothing.
func (l *link) use(f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

func (l *link) note(a asked, answer *response, carriedOut int, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := 0
	if answer != nil {
		code = answer.StatusCode
	}
	a.object = nil
	l.log = append(l.log, answered{a, code, carriedOut, sent, time.Now()})
}

// asked returns what the process asked for so far.
func (l *link) asked() []answered {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.log)
}

// written returns what the process wrote, or tried to, so far.
func (l *link) written() []answered {
	var writes []answered
	for _, a := range l.asked() {
		if a.writes() {
			writes = append(writes, a)
		}
	}
	return writes
}

// of returns the requests for what, so far.
func (l *link) of(what string) []answered {
	var found []answered
	for _, a := range l.asked() {
		if a.what == what {
			found = append(found, a)
		}
	}
	return found
}

// die ends the process: nothing of it reaches the API server any more.
func (l *link) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.died() {
		close(l.dead)
	}
}

func (l *link) died() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// freeze holds what the watch of Jobs brings, until thaw is called.
func (l *link) freeze() (thaw func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	thawed := make(chan struct{})
	l.thawed = thawed
	return sync.OnceFunc(func() { close(thawed) })
}

// await waits until nothing is frozen.
func (l *link) await() error {
	l.mu.Lock()
	thawed := l.thawed
	l.mu.Unlock()
	select {
	case <-thawed:
	case <-l.dead:
		return errDead
	}
	if l.died() {
		return errDead
	}
	return nil
}

// body is what the API server answers.
type body struct {
	io.ReadCloser
	link  *link
	watch bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.watch {
		if lost := b.link.await(); lost != nil {
			return 0, lost
		}
	}
	if b.link.died() {
		return 0, errDead
	}
	return n, err
}

// classify tells what is asked for. It leaves the request as it was.
func classify(request *http.Request) (asked, error) {
	var a asked
	resource, name := split(request.URL.Path, &a)
	a.name = name
	switch request.Method {
	case http.MethodGet, http.MethodHead:
		a.what = reading(request, resource, name)
		return a, nil
	case http.MethodPost:
		err := creating(request, &a)
		return a, err
	}
	a.what = otherWrite
	if request.Method == http.MethodDelete && strings.Contains(name, "-capture") {
		a.what = deleteCapture
	}
	if resource != "jobs" && !strings.HasPrefix(resource, "jobs/") {
		return a, nil
	}
	switch request.Method {
	case http.MethodPatch:
		a.what = patchJob
	case http.MethodDelete:
		a.what = deleteJob
	}
	sent, err := sentWith(request)
	if err != nil {
		return a, err
	}
	a.toJob = true
	a.guards, err = guardsOf(request.Method, sent)
	return a, err
}

// split returns resource and name of a path such as
// /apis/batch/v1/namespaces/x/jobs/y, and sets the namespace.
func split(path string, a *asked) (resource, name string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	skip := 2
	if parts[0] == "apis" {
		skip = 3
	}
	parts = parts[min(skip, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		a.namespace, parts = parts[1], parts[2:]
	}
	switch len(parts) {
	case 0:
		return "", ""
	case 1:
		return parts[0], ""
	case 2:
		return parts[0], parts[1]
	default:
		return parts[0] + "/" + parts[2], parts[1]
	}
}

func reading(request *http.Request, resource, name string) string {
	watched := request.URL.Query().Get("watch") == "true" || request.URL.Query().Get("watch") == "1"
	switch {
	case watched && resource == "jobs":
		return watchJobs
	case watched:
		return otherWatch
	case resource == "pods/log":
		return readLog
	case resource == "pods":
		return listPods
	case resource == "jobs" && name != "":
		return getJob
	case (resource == "configmaps" || resource == "secrets") && strings.Contains(name, "-capture"):
		return getCaptures
	case (resource == "configmaps" || resource == "secrets") && name != "":
		return getResults
	default:
		return getOther
	}
}

// sentWith returns the body of a request, and leaves it there.
func sentWith(request *http.Request) ([]byte, error) {
	if request.Body == nil {
		return nil, nil
	}
	sent, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("reading what is sent: %w", err)
	}
	request.Body.Close()
	request.Body = io.NopCloser(bytes.NewReader(sent))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(sent)), nil }
	return sent, nil
}

// creating looks into the object that is to be created.
func creating(request *http.Request, a *asked) error {
	sent, err := sentWith(request)
	if err != nil {
		return err
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(sent, nil, nil)
	if err != nil {
		return fmt.Errorf("reading what is sent: %w", err)
	}
	created, ok := object.(client.Object)
	if !ok {
		return fmt.Errorf("reading what is sent: %T has no name", object)
	}
	a.name, a.what, a.object, a.size = created.GetName(), otherWrite, created, len(sent)
	switch object := object.(type) {
	case *corev1.ConfigMap, *corev1.Secret:
		a.what, a.run = createResults, types.UID(created.GetLabels()[api.JobUIDLabel])
		switch labels := created.GetLabels(); {
		case labels[api.PartLabel] != "":
			a.what = createPart
		case labels[api.CaptureOfLabel] != "":
			a.what = createCapture
		}
	case *eventsv1.Event:
		a.what, a.run = createEvent, object.Regarding.UID
		a.tells = object.Action == api.ActionStore && strings.Contains(object.Note, "results stored in")
	}
	return nil
}
