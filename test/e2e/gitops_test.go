package e2e

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// syncInterval is how often a GitOps tool looks; real ones take minutes.
const syncInterval = 200 * time.Millisecond

// syncer keeps a Job as its source describes it, as Argo CD does with self-heal: it
// applies it as its field manager, applies it again where something differs, and
// creates it again where it is missing.
type syncer struct {
	client  client.Client
	source  *unstructured.Unstructured
	manager client.FieldOwner
	// created and healed count what it did.
	created, healed atomic.Int32
}

// run syncs until ctx ends.
func (s *syncer) run(ctx context.Context) error {
	for {
		if err := s.sync(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(syncInterval):
		}
	}
}

func (s *syncer) sync(ctx context.Context) error {
	live := s.source.DeepCopy()
	err := s.client.Get(ctx, client.ObjectKeyFromObject(s.source), live)
	switch {
	case apierrors.IsNotFound(err):
		s.created.Add(1)
		return s.apply(ctx)
	case err != nil:
		return err
	}
	drift, err := s.drift(ctx, live)
	if err != nil || drift == "" {
		return err
	}
	s.healed.Add(1)
	return s.apply(ctx)
}

func (s *syncer) apply(ctx context.Context, options ...client.ApplyOption) error {
	_, err := s.applied(ctx, options...)
	return err
}

func (s *syncer) applied(ctx context.Context, options ...client.ApplyOption) (*unstructured.Unstructured, error) {
	object := s.source.DeepCopy()
	options = append(options, s.manager, client.ForceOwnership)
	err := s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
	return object, err
}

// drift returns what differs between the source and what is live, by both of the diffs
// that Argo CD knows: field by field, and by what an apply would change.
func (s *syncer) drift(ctx context.Context, live *unstructured.Unstructured) (string, error) {
	if path := differs(s.source.Object, live.Object); path != "" {
		return path, nil
	}
	predicted, err := s.applied(ctx, client.DryRunAll)
	if err != nil {
		return "", err
	}
	if predicted.GetResourceVersion() != live.GetResourceVersion() {
		// It changed in between: the next look tells.
		return "", nil
	}
	for _, object := range []*unstructured.Unstructured{predicted, live} {
		object.SetManagedFields(nil)
	}
	if !reflect.DeepEqual(predicted.Object, live.Object) {
		return "an apply would change it", nil
	}
	return "", nil
}

// differs returns the path of a field of the source that is another one in live, "" if
// there is none.
func differs(source, live any) string {
	switch source := source.(type) {
	case map[string]any:
		live, _ := live.(map[string]any)
		for key, value := range source {
			if path := differs(value, live[key]); path != "" {
				return "." + key + path
			}
		}
	case []any:
		live, _ := live.([]any)
		if len(live) != len(source) {
			return fmt.Sprintf(": %d of %d", len(live), len(source))
		}
		for i := range source {
			if path := differs(source[i], live[i]); path != "" {
				return fmt.Sprintf("[%d]%s", i, path)
			}
		}
	default:
		if !reflect.DeepEqual(source, live) {
			return fmt.Sprintf(": %v, not %v", live, source)
		}
	}
	return ""
}

// tracking is one of the ways in which a GitOps tool marks what it keeps.
type tracking struct {
	name    string
	manager client.FieldOwner
	mark    func(*batchv1.Job)
	tool    string
}

var trackings = []tracking{
	{"annotation", "argocd-controller", func(job *batchv1.Job) {
		job.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:batch/Job:" + job.Namespace + "/" + job.Name}
	}, "Argo CD"},
	{"label", "argocd-controller", func(job *batchv1.Job) {
		job.Labels = map[string]string{"app.kubernetes.io/instance": "shop"}
	}, "Argo CD"},
	{"both", "argocd-controller", func(job *batchv1.Job) {
		job.Labels = map[string]string{"argocd.argoproj.io/instance": "shop"}
		job.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:batch/Job:" + job.Namespace + "/" + job.Name}
	}, "Argo CD"},
	{"fleet", "fleetagent", func(job *batchv1.Job) {
		job.Labels = map[string]string{"objectset.rio.cattle.io/hash": "2f0c"}
	}, "Rancher Fleet"},
}

// synced: a tool that keeps Jobs as a source describes them, by each of the marks that
// tell it, finds nothing to mend while its Job is stamped, runs, ends and is stored, and
// creates it once. When the tool prunes the Job, it goes, and its results stay.
func synced(s *story) {
	s.optedIn()
	for _, by := range trackings {
		s.synced(by)
	}
}

func (s *story) synced(by tracking) {
	s.t.Helper()
	source := s.job(by.name, "echo migrated").TTL(600).Obj()
	by.mark(source)
	tool := &syncer{client: s.w.client, source: s.untyped(source), manager: by.manager}
	ctx, stop := context.WithCancel(s.ctx())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- tool.run(ctx) }()

	job := &batchv1.Job{}
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(source), job)).To(Succeed())
	})
	s.leftAlone(job, "it is tracked ("+by.tool+")")
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("migrated\n"))
	stop()
	s.Expect(<-ended).To(Succeed())
	s.Expect(tool.created.Load()).To(BeEquivalentTo(1), by.name)
	s.Expect(tool.healed.Load()).To(BeZero(), by.name)

	s.Expect(s.w.client.Delete(s.ctx(), job)).To(Succeed())
	s.gone(job)
	s.stored(job)
}

// untyped returns an object as a manifest has it.
func (s *story) untyped(object client.Object) *unstructured.Unstructured {
	s.t.Helper()
	kinds, _, err := s.w.client.Scheme().ObjectKinds(object)
	s.Expect(err).NotTo(HaveOccurred())
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	s.Expect(err).NotTo(HaveOccurred())
	delete(content, "status")
	manifest := &unstructured.Unstructured{Object: content}
	manifest.SetGroupVersionKind(kinds[0])
	return manifest
}
