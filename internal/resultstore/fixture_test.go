package resultstore

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	jobUID = "11111111-2222-3333-4444-555555555555"
	// wish is the name that results have unless it is taken, first the next one then.
	wish, first = "report-results", "report-results-11111111"
)

var (
	kinds = []string{api.ResultsKindConfigMap, api.ResultsKindSecret}
	start = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
)

// fixture is a Writer on a fake API server.
type fixture struct {
	*Writer
	server client.WithWatch
	job    *batchv1.Job
	kind   string
	// beforeCreate and beforeGet run before a request; their error is returned instead.
	beforeCreate func(client.Object) error
	beforeGet    func(client.ObjectKey) error
	warnings     []string
}

func newFixture(kind string) *fixture {
	f := &fixture{
		kind:   kind,
		server: fake.NewClientBuilder().WithScheme(scheme.Scheme).Build(),
		job:    jobtest.MakeJob("team", "report").UID(jobUID).Started(start).Completed(start.Add(time.Minute)).Obj(),
	}
	asked := interceptor.NewClient(f.server, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			if f.beforeCreate != nil {
				if err := f.beforeCreate(object); err != nil {
					return err
				}
			}
			return c.Create(ctx, object, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if f.beforeGet != nil {
				if err := f.beforeGet(key); err != nil {
					return err
				}
			}
			return c.Get(ctx, key, object, opts...)
		},
	})
	f.Writer = &Writer{
		Store: &Store{Client: asked, Live: asked, Namespace: "operators"},
		Warn:  func(_ context.Context, _ client.Object, _, note string) { f.warnings = append(f.warnings, note) },
	}
	return f
}

// counts has the store count, with this budget for a namespace.
func (f *fixture) counts(t *testing.T, budget, taken int64) {
	t.Helper()
	m, err := metrics.NewRetention(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	f.Store.Holdings = holdings.New(holdings.Options{Budgets: retain.Budgets{Namespace: budget}}, clocktesting.NewFakePassiveClock(start), m)
	f.Store.Holdings.Counted(map[string]int64{"team": taken}, nil)
}

// run returns a run of the Job with one pod that wrote log.
func (f *fixture) run(log string) results.Run {
	pod := runs.MakePod("pod", start).Container("main", 0, []byte(log))
	if len(log) > runs.BufferBytes {
		pod.Packed([]byte(log))
	}
	return runs.Of(f.job, pod)
}

func (f *fixture) to() Target { return Target{Kind: f.kind, Name: wish} }

// content returns the results of a run of another log.
func (f *fixture) content(t *testing.T) *results.Content {
	t.Helper()
	content, err := results.Build(f.run("earlier\n"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// object returns the results of the Job as an object of this name.
func (f *fixture) object(t *testing.T, name string) *results.Object {
	t.Helper()
	return f.content(t).Object(f.kind, "team", name)
}

// there has the API server have the object.
func (f *fixture) there(t *testing.T, object *results.Object) {
	t.Helper()
	if err := f.server.Create(t.Context(), object.Encode()); err != nil {
		t.Fatal(err)
	}
}

// get returns what the API server has under this name.
func (f *fixture) get(t *testing.T, name string) *results.Object {
	t.Helper()
	stored := results.Empty(f.kind)
	if err := f.server.Get(t.Context(), types.NamespacedName{Namespace: "team", Name: name}, stored); err != nil {
		t.Fatal(err)
	}
	return results.Decode(stored)
}

// noise returns text of this size that cannot be compressed.
func noise(size int) string {
	random := rand.NewChaCha8([32]byte{1})
	text := make([]byte, size)
	_, _ = random.Read(text)
	return string(text)
}
