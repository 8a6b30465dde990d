package oracle_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// shortQuiet and longQuiet are how long nothing may be written after all have
	// come to their end. What passes is tried again after longestRetry at most,
	// what is refused after a minute.
	shortQuiet   = 30 * time.Second
	longQuiet    = 65 * time.Second
	longestRetry = 20 * time.Second
	// soon is how long a scenario may take to get anywhere: others run beside it,
	// maybe on a slow and busy machine.
	soon = 10 * time.Minute
	poll = 200 * time.Millisecond
	// together is how many scenarios run at a time. They wait most of the time.
	together = "24"
)

// What `make soak` asks for.
var (
	firstSeed = flag.Uint64("seed", 2, "first seed of TestSeeds")
	seeds     = flag.Int("seeds", 3, "number of seeds of TestSeeds")
	jobs      = flag.Int("jobs", 200, "number of Jobs for each seed of TestSeeds")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", together); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// world is a control plane with a kubelet, on which scenarios run side by side,
// each in a namespace of its own.
type world struct {
	*apiserver.Server
	kubelet *kubelet
	account *rest.Config

	namespaces atomic.Int32
	mu         sync.Mutex
	scenes     []*scene
	// clean is what runs without faults leave, by the name of their flow.
	clean map[string]endState
	// more is true in TestMore.
	more bool
	// seen is what was found in results objects, by their UIDs.
	seen sync.Map
}

// controllers of Kubernetes run but those that want a kubelet's heartbeat, and the
// one that deletes the pods of nodes that are gone, when it pleases.
const controllers = "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller"

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	server, err := apiserver.StartWith(ctx, localcluster.Options{
		ControllerManager: true, Progress: os.Stderr,
		ExtraArgs: map[string][]string{localcluster.ControllerManager: {controllers}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	w := &world{Server: server, clean: map[string]endState{}}
	if w.account, err = server.InstalledManager(ctx); err != nil {
		t.Fatal(err)
	}
	playing, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	if w.kubelet, err = startKubelet(playing, server.Cluster(), server); err != nil {
		t.Fatal(err)
	}
	return w
}

// newNamespace makes a Namespace that is opted in.
func (w *world) newNamespace(ctx context.Context, t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("scene-%d", w.namespaces.Add(1))
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	namespace := jobtest.MakeNamespace(name).Label(api.EnabledLabel, api.True).Annotation(api.EnabledSinceAnnotation, since).Obj()
	if err := w.CreateNamespace(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return name
}

// program is what a Job does.
type program struct {
	exit  int
	bytes int
	hold  bool
	// retries is how many pods may fail.
	retries int32
	// node is another node than the first; "": that.
	node string
}

// job returns a Job that does it, bound to the node.
func (p program) job(namespace, name string) *batchv1.Job {
	job := jobtest.MakeJob(namespace, name).Obj()
	annotations := map[string]string{}
	if p.exit != 0 {
		annotations[exitAnnotation] = fmt.Sprint(p.exit)
	}
	if p.bytes != 0 {
		annotations[bytesAnnotation] = fmt.Sprint(p.bytes)
	}
	if p.hold {
		annotations[holdAnnotation] = "true"
	}
	job.Spec.BackoffLimit = &p.retries
	job.Spec.Template.Annotations = annotations
	job.Spec.Template.Spec.NodeName = cmp.Or(p.node, nodeName)
	job.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(gracePeriod / time.Second))
	job.Spec.Template.Spec.AutomountServiceAccountToken = new(false)
	return job
}

func annotated(key, value string) func(*batchv1.Job) {
	return func(job *batchv1.Job) { metav1.SetMetaDataAnnotation(&job.ObjectMeta, key, value) }
}

// TestSeeds lets what further seeds say happen, one seed after the other.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-oracle")
	}
	w := newWorld(t)
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	for i := range *seeds {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testSchedule(t, w, seed, *jobs) })
	}
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, longQuiet) })
}

// has reports whether a scenario is for the test that runs, given whether it is for
// TestMore.
func (w *world) has(more bool) bool { return w.more == more }

// TestMore runs those scenarios that TestScenarios leaves out for their number.
func TestMore(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-oracle")
	}
	w := newWorld(t)
	w.more = true
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	t.Run("Together", func(t *testing.T) {
		for _, test := range []group{
			{"Crashes", testCrashes},
			{"Held", testHeld},
			{"Captured", testCaptured},
			{"Clock", testClock},
			{"Stale", testStale},
			{"Taken", testTaken},
			{"Answers", testAnswers},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, w)
			})
		}
	})
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, longQuiet) })
}

// group are scenarios about one thing.
type group struct {
	name string
	run  func(*testing.T, *world)
}

// TestScenarios runs all scenarios side by side, and then waits once for all of
// them that nothing is written any more.
func TestScenarios(t *testing.T) {
	w := newWorld(t)
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	t.Run("Together", func(t *testing.T) {
		for _, test := range []group{
			{"Crashes", testCrashes},
			{"Held", testHeld},
			{"Captured", testCaptured},
			{"Clock", testClock},
			{"Stale", testStale},
			{"Taken", testTaken},
			{"Lost", testLost},
			{"Changed", testChanged},
			{"Answers", testAnswers},
			{"Refused", testRefused},
			{"Nodes", testNodes},
			{"Deadline", testDeadline},
			{"Seed", func(t *testing.T, w *world) { testSchedule(t, w, 1, 200) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, w)
			})
		}
	})
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, shortQuiet) })
}
