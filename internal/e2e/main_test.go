package e2e

import (
	"context"
	"flag"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// TestMain lets all stories run at the same time: they wait far more than they
// compute, whatever the number of processors.
func TestMain(m *testing.M) {
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	if err := flag.Set("test.parallel", "100"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// stories are those told while the manager is there all the time.
var stories = []struct {
	name string
	tell func(*story)
}{
	{"success", success},
	{"failure", failure},
	{"never-started", neverStarted},
	{"deadline", deadline},

	{"several-pods", severalPods},
	{"indexed", indexed},
	{"retried-pod", retriedPod},
	{"restarted-container", restartedContainer},
	{"many-containers", manyContainers},
	{"manual-selector", manualSelector},

	{"suspended", suspended},
	{"labelled-late", labelledLate},
	{"generated-name", generatedName},
	{"recreated", recreated},
	{"deleted-later", deletedLater},
	{"recheck", recheck},

	{"cronjob", cronJob},
	{"owned", owned},
	{"tracked", tracked},

	{"opted-out", optedOut},
	{"opted-in-itself", optedInItself},
	{"namespace-annotation", namespaceAnnotation},
	{"invalid-annotation", invalidAnnotation},
	{"isolation", isolation},

	{"status-only", statusOnly},
	{"binary-output", binaryOutput},
	{"large-log", largeLog},
	{"name-taken", nameTaken},
}

// interruptions are the stories in which the manager is killed and is away for
// a while.
var interruptions = []struct {
	name string
	tell func(*story, *downtime)
}{
	{"ran-while-down", ranWhileDown},
	{"ttl-zero-while-down", ttlZeroWhileDown},
	{"killed-at-work", killedAtWork},
}

func TestStories(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the stories need root: their containers run on this machine")
	}
	w := newWorld(t)
	t.Run("up", func(t *testing.T) {
		for _, told := range stories {
			t.Run(told.name, func(t *testing.T) {
				t.Parallel()
				told.tell(newStory(t, w, told.name))
			})
		}
	})
	t.Run("down", func(t *testing.T) {
		d := newDowntime()
		for _, told := range interruptions {
			t.Run(told.name, func(t *testing.T) {
				d.join(t)
				t.Parallel()
				told.tell(newStory(t, w, told.name), d)
			})
		}
		d.run(t, w)
	})
	t.Run("after", func(t *testing.T) {
		t.Run("nothing-left-to-do", func(t *testing.T) { nothingLeftToDo(t, w) })
		t.Run("ends-cleanly", func(t *testing.T) { endsCleanly(t, w) })
		t.Run("log", func(t *testing.T) { logIsClean(t, w) })
	})
}

// downtime is the time in which the manager is away, common to all stories
// that join. It begins when all of them have arranged what has to be there
// before, and is over when all have seen what they want to see in between.
type downtime struct {
	waiting, watching sync.WaitGroup
	begun, over       chan struct{}

	mu      sync.Mutex
	joined  int
	release map[*testing.T]*steps
}

// steps let one story go on to the next part once only.
type steps struct{ arranged, seen func() }

func newDowntime() *downtime {
	return &downtime{
		begun: make(chan struct{}), over: make(chan struct{}), release: map[*testing.T]*steps{},
	}
}

// join has the others wait for the story of t, until it ends.
func (d *downtime) join(t *testing.T) {
	d.waiting.Add(1)
	d.watching.Add(1)
	s := &steps{arranged: sync.OnceFunc(d.waiting.Done), seen: sync.OnceFunc(d.watching.Done)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.joined++
	d.release[t] = s
	t.Cleanup(func() {
		s.arranged()
		s.seen()
	})
}

func (d *downtime) steps(t *testing.T) *steps {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.release[t]
}

// begin waits until the manager is away.
func (d *downtime) begin(s *story) {
	d.steps(s.t).arranged()
	<-d.begun
}

// end waits until the manager is there again.
func (d *downtime) end(s *story) {
	d.steps(s.t).seen()
	<-d.over
}

// run kills the manager and starts it again, when the stories are ready for it.
func (d *downtime) run(t *testing.T, w *world) {
	if d.joined == 0 {
		return
	}
	go func() {
		defer close(d.over)
		d.waiting.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), managerTimeout)
		defer cancel()
		err := w.killManager(ctx)
		close(d.begun)
		if err != nil {
			t.Errorf("killing the manager: %v", err)
			return
		}
		killed := time.Now()
		d.watching.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), managerTimeout)
		defer cancel()
		if err := w.startManager(ctx); err != nil {
			t.Errorf("starting the manager again: %v", err)
		}
		w.say("the manager was away for %s", time.Since(killed).Round(time.Second))
	}()
	t.Cleanup(func() { <-d.over })
}
