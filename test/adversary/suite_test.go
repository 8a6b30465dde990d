package adversary_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/test/fakenode"
)

const nodeName = "adversary"

// neighbourLog is what each container of the neighbour writes.
var neighbourLog = []string{"reading 3 files", "wrote 1,234,567 records", "done"}

// only selects attacks by name, for who works on one.
var only = flag.String("attacks", "", "comma-separated names of attacks; empty: all")

// errEnded says that the manager's process ended.
var errEnded = errors.New("the manager's process ended")

func TestMain(m *testing.M) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// TestQuick is what `make test` runs: a little of most attacks, all at a time.
func TestQuick(t *testing.T) { runAll(t, attack{name: "together", together: quickly}) }

// TestAttacks is every attack with its full force, and all of them at a time.
func TestAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-adversary")
	}
	runAll(t, append(slices.Clone(attacks), attack{name: "together", together: attacks})...)
}

// world is an API server with a node, and the manager's program.
type world struct {
	*apiserver.Server

	binary     string
	limit      int64
	namespaces atomic.Int32
}

// build makes the manager's program, or skips the test where that would have no
// memory limit.
func build(t *testing.T) (binary string) {
	t.Helper()
	group, err := newCgroup(fmt.Sprintf("job-handler-probe-%d", os.Getpid()), memoryLimit(t))
	if errors.Is(err, errNoCgroup) {
		t.Skipf("the manager would have no memory limit: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := group.remove(); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), "job-handler")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/manager")
	command.Dir = "../.."
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return binary
}

// newWorld starts a control plane. Each attack has one of its own: what another one
// made is deleted slowly, and the API server's caches are long behind it.
func newWorld(t *testing.T, binary string) *world {
	t.Helper()
	w := &world{limit: memoryLimit(t), binary: binary}
	var err error
	ctx := context.WithoutCancel(t.Context())
	if w.Server, err = apiserver.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.keepLogs(t)
		if err := w.Stop(ctx); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	// Objects of a MiB are made by the hundred.
	config := rest.CopyConfig(w.Cluster().RESTConfig())
	config.QPS = -1
	admin, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.WithWatch = patient(admin)
	serving, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	if err := fakenode.Start(serving, w.Cluster(), w, nodeName, logOf); err != nil {
		t.Fatal(err)
	}
	return w
}

// keepLogs keeps the logs of the control plane where a test failed.
func (w *world) keepLogs(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	kept := filepath.Join("../../bin/adversary-logs", strings.ReplaceAll(t.Name(), " ", "-"))
	if err := errors.Join(os.RemoveAll(kept), os.CopyFS(kept, os.DirFS(w.Cluster().Logs()))); err != nil {
		t.Errorf("keeping the logs: %v", err)
	}
	t.Logf("the logs of the control plane are in %s", kept)
}

// logOf returns what a container wrote: one whose name begins with silent writes
// nothing and does not end.
func logOf(_, _, container string) (fakenode.Log, bool) {
	if strings.HasPrefix(container, "silent") {
		return fakenode.Log{Over: make(chan struct{})}, true
	}
	return fakenode.Log{Lines: neighbourLog, Began: time.Now().Add(-time.Hour)}, true
}

// newNamespace makes a Namespace, opted in for longer than its Jobs are there.
func (w *world) newNamespace(ctx context.Context, prefix string, optedIn bool) (string, error) {
	name := fmt.Sprintf("%s-%d", prefix, w.namespaces.Add(1))
	namespace := jobtest.MakeNamespace(name)
	if optedIn {
		since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		namespace.Label(api.EnabledLabel, api.True).Annotation(api.EnabledSinceAnnotation, since)
	}
	return name, w.CreateNamespace(ctx, namespace.Obj())
}

// manager is the program in its cgroup.
type manager struct {
	*hostmanager.Manager

	group *cgroup
	log   *os.File
}

func (w *world) startManager(ctx context.Context, t *testing.T) *manager {
	t.Helper()
	dir := t.TempDir()
	group, err := newCgroup(fmt.Sprintf("job-handler-%d-%d", os.Getpid(), w.namespaces.Add(1)), w.limit)
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{group: group}
	t.Cleanup(func() {
		if err := group.remove(); err != nil {
			t.Errorf("removing the cgroup: %v", err)
		}
	})
	if m.log, err = os.Create(filepath.Join(dir, "manager.log")); err != nil {
		t.Fatal(err)
	}
	wrapped := filepath.Join(dir, "manager")
	if err := group.wrap(w.binary, wrapped); err != nil {
		t.Fatal(err)
	}
	m.Manager, err = hostmanager.Start(ctx, hostmanager.Options{
		Cluster: w.Cluster(), Binary: wrapped, Dir: dir, Output: m.log, Args: []string{"--leader-elect", "--v=1"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, m.lastLines())
	}
	t.Cleanup(func() {
		_ = m.Kill(context.WithoutCancel(ctx))
		if t.Failed() {
			t.Logf("the manager logged\n%s", m.lastLines())
		}
		m.log.Close()
	})
	return m
}

func (m *manager) lastLines() string {
	text, err := os.ReadFile(m.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// row is a line of the table.
type row struct {
	name               string
	n                  int
	resident, group    int64
	p50, p99, attacked time.Duration
	// alone50 and alone99 are those of a neighbour without the attack.
	alone50, alone99 time.Duration
	ended            string
}

func runAll(t *testing.T, all ...attack) {
	t.Helper()
	binary := build(t)
	var rows []row
	for _, a := range all {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), a.name) {
			continue
		}
		t.Run(a.name, func(t *testing.T) { rows = append(rows, newWorld(t, binary).run(t, a)) })
	}
	var table strings.Builder
	writer := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(writer, "attack\tobjects\tpeak RSS\tpeak of cgroup\tneighbour p50\talone\tneighbour p99\talone\tattacked Jobs done\tprocess")
	for _, r := range rows {
		fmt.Fprintf(writer, "%s\t%d\t%d MiB\t%d MiB\t%s\t%s\t%s\t%s\t%s\t%s\n", r.name, r.n, r.resident/mebi, r.group/mebi,
			r.p50, r.alone50, r.p99, r.alone99, r.attacked.Round(time.Second), r.ended)
	}
	writer.Flush()
	fmt.Printf("The manager in %d MiB (aim for the neighbour's p99, from finished to deleted: 5s)\n%s", memoryLimit(t)/mebi, table.String()) //nolint:forbidigo // people compare it
}

// run makes an attack, and then expects the manager to go on.
func (w *world) run(t *testing.T, a attack) row {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	r := row{name: a.name, n: a.objects, ended: "goes on"}
	r.alone50, r.alone99 = w.alone(ctx, t)
	stages, err := w.prepare(ctx, a)
	if err != nil {
		t.Fatalf("preparing the attack: %v", err)
	}
	beside, err := w.newNeighbour(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := w.startManager(ctx, t)
	began := time.Now()
	if err := w.attack(ctx, m, stages, beside); err != nil {
		t.Error(err)
	}
	r.attacked = time.Since(began)
	r.p50, r.p99, r.resident = beside.percentile(50), beside.percentile(99), residentPeak(m.PID())
	if r.group, err = m.group.peakBytes(); err != nil {
		t.Error(err)
	}
	if kills, err := m.group.oomKills(); err != nil || kills > 0 {
		r.ended = "OOM-killed"
		t.Errorf("the manager was killed for want of memory: %d times, %v", kills, err)
	}
	select {
	case <-m.Done():
		t.Errorf("the manager ended: %v", m.Err())
	default:
		m.stop(ctx, t)
	}
	return r
}

// alone returns how long a neighbour's Jobs are there without an attack, which tells
// how busy the machine is.
func (w *world) alone(ctx context.Context, t *testing.T) (p50, p99 time.Duration) {
	t.Helper()
	n, err := w.newNeighbour(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := w.startManager(ctx, t)
	if err := n.work(ctx, m.Done()); err != nil {
		t.Fatalf("without an attack: %v", err)
	}
	m.stop(ctx, t)
	return n.percentile(50), n.percentile(99)
}

// stop ends the manager as a rollout does.
func (m *manager) stop(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := m.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// prepare does what an attack does before there is a manager.
func (w *world) prepare(ctx context.Context, a attack) ([]*stage, error) {
	var stages []*stage
	group, preparing := errgroup.WithContext(ctx)
	for _, each := range append([]attack{a}, a.together...) {
		if each.prepare == nil {
			continue
		}
		namespace, err := w.newNamespace(ctx, "attacker", !each.notOptedIn)
		if err != nil {
			return nil, err
		}
		s := &stage{world: w, attack: each, namespace: namespace}
		stages = append(stages, s)
		group.Go(func() error { return each.prepare(preparing, s) })
	}
	return stages, group.Wait()
}

// attack runs what happens beside the manager, and returns what went wrong.
func (w *world) attack(ctx context.Context, m *manager, stages []*stage, beside *neighbour) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	results := make(chan error)
	for _, s := range stages {
		go func() { results <- s.goOn(ctx, m.Done()) }()
	}
	go func() { results <- beside.work(ctx, m.Done()) }()
	var errs []error
	for range len(stages) + 1 {
		err := <-results
		if err != nil && (!errors.Is(err, errEnded) || len(errs) == 0) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
