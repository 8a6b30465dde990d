package harness

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/test/perf/report"
)

// calibration is what a bare client reaches that makes the requests which a Job
// needs at the least, and nothing else: one log read, a ConfigMap of the same
// size, an Event, a patch of the Job, its deletion. It is the ceiling of what a
// manager can do on this machine.
type calibration struct {
	name, title string
	logs        Logs
	// jobs are for each of the concurrencies.
	jobs int
}

// concurrencies are tried one after the other; the best counts.
var concurrencies = []int{1, 32, 64}

// alone is how many Jobs are handled one after the other.
const alone = 40

func (c calibration) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: c.name, Title: c.title}
	bare, err := c.newBareClient(ctx, w)
	if err != nil {
		return err
	}
	s.Set(report.ResultsBytes, float64(bare.results.Size()))
	s.Set(report.EventBytes, float64(bare.event.Size()))
	for _, concurrency := range concurrencies {
		jobs := c.jobs
		if concurrency == 1 {
			jobs = alone
		}
		rate, took, err := c.measure(ctx, w, bare, jobs, concurrency)
		if err != nil {
			return err
		}
		if concurrency == 1 {
			s.SetLatency("alone", took)
		}
		if rate > s.Values[report.Rate] {
			s.Set(report.Jobs, float64(jobs))
			s.Set(report.Rate, rate)
			s.Set(report.Concurrency, float64(concurrency))
		}
	}
	r.Scenarios = append(r.Scenarios, s)
	return nil
}

// measure returns how many Jobs a second the bare client handles so many at a
// time, and how long each took, in seconds.
func (c calibration) measure(ctx context.Context, w *world, bare *bareClient, jobs, concurrency int) (rate float64, took []float64, err error) {
	namespace, err := w.namespace(ctx, true, c.logs)
	if err != nil {
		return 0, nil, err
	}
	made, err := w.load(ctx, batch{namespace: namespace, jobs: jobs, optedIn: true, finished: true})
	if err != nil {
		return 0, nil, err
	}
	if err := w.resume(ctx); err != nil {
		return 0, nil, err
	}
	o, err := w.observe(ctx, namespace)
	if err != nil {
		return 0, nil, err
	}
	defer o.stop()
	took = make([]float64, jobs)
	began := time.Now()
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i := range made {
		group.Go(func() error {
			began := time.Now()
			err := bare.handle(working, made[i])
			took[i] = time.Since(began).Seconds()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, nil, fmt.Errorf("the bare client: %w", err)
	}
	rate = float64(jobs) / time.Since(began).Seconds()
	if err := o.awaitDeleted(ctx, time.Minute, jobs); err != nil {
		return 0, nil, err
	}
	return rate, took, w.clear(ctx, namespace)
}

// bareClient makes requests with the manager's rights, under its policies.
type bareClient struct {
	kube *kubernetes.Clientset
	// results and event are those that the manager made of such a Job.
	results *corev1.ConfigMap
	event   *eventsv1.Event
}

// newBareClient has the manager handle one such Job, for objects of the very size
// that it writes.
func (c calibration) newBareClient(ctx context.Context, w *world) (*bareClient, error) {
	namespace, err := w.namespace(ctx, true, c.logs)
	if err != nil {
		return nil, err
	}
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: 1, optedIn: true, finished: true}); err != nil {
		return nil, err
	}
	if err := w.resume(ctx); err != nil {
		return nil, err
	}
	o, err := w.observe(ctx, namespace)
	if err != nil {
		return nil, err
	}
	defer o.stop()
	err = w.withManager(ctx, func(*manager) error { return o.awaitDeleted(ctx, time.Minute, 1) })
	if err != nil {
		return nil, err
	}
	account, err := w.account()
	if err != nil {
		return nil, err
	}
	bare := &bareClient{}
	if bare.kube, err = clientset(account); err != nil {
		return nil, err
	}
	if err := bare.copyFrom(ctx, w, namespace); err != nil {
		return nil, err
	}
	return bare, w.clear(ctx, namespace)
}

// copyFrom takes what the manager wrote about the first Job of a namespace.
func (b *bareClient) copyFrom(ctx context.Context, w *world, namespace string) (err error) {
	if b.results, err = w.admin.CoreV1().ConfigMaps(namespace).Get(ctx, resultsOf(0), metav1.GetOptions{}); err != nil {
		return fmt.Errorf("getting the results of a handled Job: %w", err)
	}
	events, err := w.admin.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(events.Items) == 0 {
		return fmt.Errorf("looking for the Event of a handled Job among %d: %w", len(events.Items), err)
	}
	b.event = &events.Items[0]
	return nil
}

// handle makes the requests for one Job.
func (b *bareClient) handle(ctx context.Context, made work) error {
	namespace, name := made.job.Namespace, made.job.Name
	log, err := b.kube.CoreV1().Pods(namespace).GetLogs(made.pod.Name, &corev1.PodLogOptions{Container: made.pod.Spec.Containers[0].Name}).Stream(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, log)
	log.Close()
	if err != nil {
		return err
	}
	results := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name + api.ResultsSuffix, Labels: b.results.Labels, Annotations: b.results.Annotations,
		},
		Immutable: new(true), Data: b.results.Data, BinaryData: b.results.BinaryData,
	}
	if _, err := b.kube.CoreV1().ConfigMaps(namespace).Create(ctx, results, metav1.CreateOptions{}); err != nil {
		return err
	}
	event := b.event.DeepCopy()
	event.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: name + "." + string(made.job.UID)}
	event.Regarding.Namespace, event.Regarding.Name, event.Regarding.UID = namespace, name, made.job.UID
	if _, err := b.kube.EventsV1().Events(namespace).Create(ctx, event, metav1.CreateOptions{}); err != nil {
		return err
	}
	patched, err := b.kube.BatchV1().Jobs(namespace).Patch(ctx, name, types.MergePatchType, b.patch(made), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return b.kube.BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground),
		Preconditions:     &metav1.Preconditions{UID: &patched.UID, ResourceVersion: &patched.ResourceVersion},
	})
}

func (b *bareClient) patch(made work) []byte {
	return fmt.Appendf(nil, `{"metadata":{"uid":%q,"resourceVersion":%q,"annotations":{%q:"completed",%q:"complete",%q:%q}}}`,
		made.job.UID, made.job.ResourceVersion, api.StatusAnnotation, api.CaptureAnnotation,
		api.ResultsNameAnnotation, made.job.Name+api.ResultsSuffix)
}
