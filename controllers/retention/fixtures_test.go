package retention_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/retention"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/holdings"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	interval = time.Hour
	ttlFloor = time.Hour
)

// process is one process of the manager, called directly. Its hooks have the API
// server answer with an error.
type process struct {
	*retention.Retainer
	clock    *clocktesting.FakeClock
	registry *prometheus.Registry

	// beforeDelete, beforeGet and beforeList run before a request; their error is
	// returned instead. beforeDelete and beforeGet may change the world.
	beforeDelete func(context.Context, client.Object) error
	beforeGet    func(context.Context, client.ObjectKey) error
	beforeList   func(client.ObjectList) error

	mu sync.Mutex
	// asked are the names of what was to be deleted, deleted of what was.
	asked, deleted []string
}

// newProcess returns a process with the manager's rights at the present time.
func newProcess(change ...func(*retention.Options)) *process {
	GinkgoHelper()
	p := &process{clock: clocktesting.NewFakeClock(time.Now().Truncate(time.Second)), registry: prometheus.NewRegistry()}
	m, err := metrics.NewRetention(p.registry)
	Expect(err).NotTo(HaveOccurred())
	c := interceptor.NewClient(manager, interceptor.Funcs{Get: p.get, Delete: p.delete, List: p.list})
	p.Retainer = &retention.Retainer{
		Client: c, Live: c, Metrics: m, Clock: p.clock,
		Store: &resultstore.Store{
			Client: c, Live: c,
			Holdings: holdings.New(holdings.Options{Budgets: retain.Budgets{Namespace: 1 << 20}, Horizon: interval}, p.clock, m),
		},
		Options: retention.Options{Interval: interval, TTLFloor: ttlFloor},
	}
	for _, f := range change {
		f(&p.Options)
	}
	return p
}

func (p *process) delete(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
	var options client.DeleteOptions
	options.ApplyOptions(opts)
	Expect(options.Preconditions.UID).To(HaveValue(Equal(object.GetUID())))
	Expect(options.Preconditions.ResourceVersion).To(HaveValue(Equal(object.GetResourceVersion())))
	p.mu.Lock()
	p.asked = append(p.asked, object.GetName())
	p.mu.Unlock()
	if p.beforeDelete != nil {
		if err := p.beforeDelete(ctx, object); err != nil {
			return err
		}
	}
	if err := c.Delete(ctx, object, opts...); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deleted = append(p.deleted, object.GetName())
	return nil
}

func (p *process) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if p.beforeGet != nil {
		if err := p.beforeGet(ctx, key); err != nil {
			return err
		}
	}
	return c.Get(ctx, key, object, opts...)
}

func (p *process) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	if p.beforeList != nil {
		if err := p.beforeList(list); err != nil {
			return err
		}
	}
	return c.List(ctx, list, opts...)
}

// looks looks at everything once.
func (p *process) looks(ctx context.Context) {
	GinkgoHelper()
	Expect(p.Look(ctx)).To(Succeed())
}

// attempts returns the names of what it asked to be deleted so far. What is not
// ours the policies would keep, so that it is asked for shows only here.
func (p *process) attempts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.asked...)
}

// deletions returns the names of what was deleted so far, in order.
func (p *process) deletions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.deleted...)
}

// counted returns the value of a metric with these labels.
func (p *process) counted(name string, labels ...string) float64 {
	GinkgoHelper()
	families, err := p.registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var values []string
			for _, pair := range metric.GetLabel() {
				values = append(values, pair.GetValue())
			}
			if len(labels) == len(values) && (len(labels) == 0 || labels[0] == values[0]) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// storedRun builds the results of a run.
type storedRun struct {
	run  results.Run
	kind string
	name string
}

// aRun is that of a completed Job that is gone, stored in a ConfigMap a day ago.
func aRun(jobName string) *storedRun {
	return runOf(jobtest.MakeJob(namespace, jobName).UID(uuid.NewUUID()))
}

func runOf(builder *jobtest.JobBuilder) *storedRun {
	ended := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	job := builder.Started(ended.Add(-time.Minute)).Completed(ended).Obj()
	run := runs.Of(job, runs.MakePod("pod", ended).Container("main", 0, []byte("hello\n")))
	return &storedRun{run: run, kind: api.ResultsKindConfigMap, name: names.Results(job.Name)}
}

// expires has the results expire so long from now.
func (s *storedRun) expires(in time.Duration) *storedRun {
	s.run.ExpiresAt = new(time.Now().Truncate(time.Second).Add(in))
	return s
}

func (s *storedRun) inSecret() *storedRun { s.kind = api.ResultsKindSecret; return s }

// of has the run be one of a CronJob, so long ago.
func (s *storedRun) of(cronJob string, ago time.Duration) *storedRun {
	s.run.CronJob, s.run.CreatedAt = cronJob, time.Now().Add(-ago)
	return s
}

// large has the results have three parts.
func (s *storedRun) large() *storedRun {
	noise := make([]byte, 2_300_000)
	source := rand.NewChaCha8([32]byte([]byte(s.run.Job.UID)[:32]))
	_, _ = source.Read(noise)
	log := &s.run.Pods[0]
	*log = runs.Of(s.run.Job, runs.MakePod("pod", time.Now()).Container("main", 0, noise).Packed(noise)).Pods[0]
	s.run.MaxBytes = 4 << 20
	return s
}

// parts creates the parts of the results, and returns the content that lists
// them.
func (s *storedRun) parts(ctx context.Context) (*results.Content, []string) {
	GinkgoHelper()
	content, err := results.Build(s.run)
	Expect(err).NotTo(HaveOccurred())
	var stored []string
	for _, part := range content.Parts {
		name := names.Parts(s.name, part.Number, part.SHA256, s.run.Job.UID)[0]
		s.put(ctx, content.PartContent(part, s.name), name)
		stored = append(stored, name)
	}
	if len(stored) > 0 {
		Expect(content.ListParts(stored)).To(Succeed())
	}
	return content, stored
}

// stored creates the results, parts first, as the Job controller does.
func (s *storedRun) stored(ctx context.Context, change ...func(client.Object)) client.Object {
	GinkgoHelper()
	content, _ := s.parts(ctx)
	return s.put(ctx, content, s.name, change...)
}

func (s *storedRun) put(ctx context.Context, content *results.Content, name string, change ...func(client.Object)) client.Object {
	GinkgoHelper()
	object := content.Object(s.kind, namespace, name).Encode()
	for _, f := range change {
		f(object)
	}
	Expect(kube.Create(ctx, object)).To(Succeed())
	return object
}

// present returns the names of the ConfigMaps labelled as ours in the spec's
// namespace.
func present(ctx context.Context) []string {
	GinkgoHelper()
	var list corev1.ConfigMapList
	Expect(kube.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	found := []string{}
	for _, cm := range list.Items {
		found = append(found, cm.Name)
	}
	return found
}

// presentSecrets is present for Secrets.
func presentSecrets(ctx context.Context) []string {
	GinkgoHelper()
	var list corev1.SecretList
	Expect(kube.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	found := []string{}
	for _, secret := range list.Items {
		found = append(found, secret.Name)
	}
	return found
}

// aJob creates a Job in the spec's namespace.
func aJob(ctx context.Context, builder *jobtest.JobBuilder) *batchv1.Job {
	GinkgoHelper()
	job := builder.Obj()
	Expect(kube.Create(ctx, job)).To(Succeed())
	return job
}

// ends has the Job be finished since a minute, well or badly.
func ends(ctx context.Context, job *batchv1.Job, kind batchv1.JobConditionType) {
	GinkgoHelper()
	end := metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second))
	job.Status.StartTime = new(metav1.NewTime(end.Add(-time.Minute)))
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	if kind == batchv1.JobComplete {
		job.Status.CompletionTime, job.Status.Succeeded = &end, 1
	}
	for _, condition := range versions.Ending(kind) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: condition, Status: corev1.ConditionTrue, Reason: "Ended", LastProbeTime: end, LastTransitionTime: end,
		})
	}
	Expect(kube.Status().Update(ctx, job)).To(Succeed())
}

// report writes on the Job that its results are stored.
func report(ctx context.Context, job *batchv1.Job, status string) {
	GinkgoHelper()
	from := job.DeepCopy()
	for key, value := range map[string]string{
		api.StatusAnnotation: status, api.CaptureAnnotation: api.CaptureComplete, api.ResultsNameAnnotation: names.Results(job.Name),
	} {
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, key, value)
	}
	Expect(kube.Patch(ctx, job, client.MergeFrom(from))).To(Succeed())
}
