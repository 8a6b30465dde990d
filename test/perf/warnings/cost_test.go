package warnings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/pager"
)

const (
	benchEvents  = 20_000
	benchJobs    = 500
	benchWorkers = 96
)

// BenchmarkAbout has 500 Jobs of a namespace with 20,000 Warning Events fail at once, on
// a real API server, and prints what their Events cost: how often the namespace was
// listed, the longest wait of a Job, the CPU time of the API server with etcd, and ours.
func BenchmarkAbout(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), apiserver.StartTimeout)
	defer cancel()
	server, err := apiserver.Start(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(context.WithoutCancel(ctx)); err != nil {
			b.Error(err)
		}
	}()
	if err := fillNamespace(ctx, server); err != nil {
		b.Fatal(err)
	}
	live, err := liveReader(server)
	if err != nil {
		b.Fatal(err)
	}
	counts := &benchCounts{}
	warnings := events.NewWarnings(pager.Lister{Live: live, Gate: pager.NewGate(pager.DefaultBytes)}, clock.RealClock{}, counts)

	var longest time.Duration
	before := cpuOf(b, server)
	for b.Loop() {
		longest = max(longest, failAtOnce(b, warnings))
	}
	after := cpuOf(b, server)
	b.ReportMetric(float64(counts.lists.Load())/float64(b.N), "lists/op")
	b.ReportMetric(1000*(after.server-before.server)/float64(b.N), "apiserver-cpu-ms/op")
	b.ReportMetric(1000*(after.own-before.own)/float64(b.N), "own-cpu-ms/op")
	b.ReportMetric(float64(longest.Milliseconds()), "longest-wait-ms")
	if counts.failed.Load() > 0 {
		b.Errorf("%d lists failed", counts.failed.Load())
	}
}

// failAtOnce has the Jobs ask as the manager's workers do, and returns the longest wait.
func failAtOnce(b *testing.B, warnings *events.Warnings) time.Duration {
	var longest time.Duration
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(benchWorkers)
	for i := range benchJobs {
		group.Go(func() error {
			began := time.Now()
			found, err := warnings.About(b.Context(), "batch", sets.New(podUID(i)))
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("job %d: no Event", i)
			}
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(began))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Error(err)
	}
	return longest
}

type benchCounts struct{ lists, failed atomic.Int64 }

// ListedEvents implements events.Metrics.
func (c *benchCounts) ListedEvents(err error) {
	c.lists.Add(1)
	if err != nil {
		c.failed.Add(1)
	}
}

func podUID(i int) types.UID { return types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012d", i)) }

func fillNamespace(ctx context.Context, server *apiserver.Server) error {
	if err := server.Create(ctx, jobtest.MakeNamespace("batch").Obj()); err != nil {
		return err
	}
	at := metav1.NewTime(time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC))
	var group errgroup.Group
	group.SetLimit(32)
	for i := range benchEvents {
		group.Go(func() error {
			return server.Create(ctx, &corev1.Event{
				ObjectMeta:     metav1.ObjectMeta{Namespace: "batch", Name: fmt.Sprintf("import-%05d.187b1a2c3d4e5f60", i)},
				InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "batch", Name: fmt.Sprintf("import-%05d", i), UID: podUID(i)},
				Type:           corev1.EventTypeWarning, Reason: "FailedMount", Count: 3, FirstTimestamp: at, LastTimestamp: at,
				Message: fmt.Sprintf(`MountVolume.SetUp failed for volume "keys" : secret "keys-%05d" not found`, i),
				Source:  corev1.EventSource{Component: "kubelet", Host: "node-1"},
			})
		})
	}
	return group.Wait()
}

// liveReader reads as the manager does: what is too large for a page is given up.
func liveReader(server *apiserver.Server) (client.Reader, error) {
	config := rest.CopyConfig(server.Cluster().RESTConfig())
	config.QPS = -1
	config.Wrap(pager.Transport)
	return client.New(config, client.Options{Scheme: scheme.Scheme})
}

type cpu struct{ server, own float64 }

func cpuOf(b *testing.B, server *apiserver.Server) cpu {
	components, err := server.Cluster().Components(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var used cpu
	for _, component := range components {
		if component.Name != localcluster.APIServer && component.Name != localcluster.Etcd {
			continue
		}
		seconds, failed := secondsOf(procfs.NewProc(component.PID))
		used.server += seconds
		err = errors.Join(err, failed)
	}
	seconds, failed := secondsOf(procfs.Self())
	used.own = seconds
	if err = errors.Join(err, failed); err != nil {
		b.Fatal(err)
	}
	return used
}

func secondsOf(process procfs.Proc, err error) (float64, error) {
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return stat.CPUTime(), err
}
