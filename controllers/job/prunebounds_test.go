package job

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

// hostileJob is as large as the API server allows in labels, annotations, finalizers
// and its selector.
func hostileJob() *batchv1.Job {
	job := fullJob()
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{}}
	job.Annotations["note"] = strings.Repeat("x", 250_000)
	for i := range 4300 {
		key := fmt.Sprintf("team/%053d", i)
		job.Labels[key] = strings.Repeat("v", 63)
		job.Spec.Selector.MatchLabels[key] = strings.Repeat("v", 63)
		job.Finalizers = append(job.Finalizers, "example.com/"+key[5:])
	}
	for range 100 {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: "Other", Reason: strings.Repeat("r", 10_000), Message: strings.Repeat("m", 10_000),
		})
	}
	return job
}

// hostilePod has as many containers as an object can hold.
func hostilePod() *corev1.Pod {
	pod := fullPod()
	pod.Annotations[batchv1.JobCompletionIndexAnnotation] = strings.Repeat("1", 200_000)
	long := strings.Repeat("l", 20_000)
	pod.Status.Reason, pod.Status.Message = long, long
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "long", Image: strings.Repeat("i", 100_000)})
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: "long", ContainerID: long, Image: long, ImageID: long,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: long, Message: long}},
	})
	for i := range 23_000 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "b", ImagePullPolicy: "Always"})
	}
	return pod
}

// Whatever is put on a Job or pod, the cache keeps some KiB of it.
func TestPruneIsBounded(t *testing.T) {
	job := hostileJob()
	pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
	if size := job.Size(); size > 200<<10 {
		t.Errorf("%d bytes of a Job are kept", size)
	}
	if dropped := policy.DroppedOf(job); !dropped.Selector || !dropped.Labels || !dropped.Finalizers || dropped.AnnotationBytes < 250_000 {
		t.Errorf("%+v", dropped)
	}
	pod := hostilePod()
	prunePod(pod)
	if size, containers := pod.Size(), len(pod.Spec.Containers); size > 64<<10 || containers != maxContainers {
		t.Errorf("%d bytes of a pod are kept, %d containers", size, containers)
	}
	if _, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]; indexed {
		t.Error("what is no completion index is kept")
	}
}

// Objects that are streamed at the start are pruned twice.
func TestPruneTwice(t *testing.T) {
	for name, job := range map[string]*batchv1.Job{"usual": fullJob(), "hostile": hostileJob()} {
		pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
		again := job.DeepCopy()
		pruneJob(again, policy.Defaults{PropagatableLabels: []string{"team/*"}})
		if diff := cmp.Diff(job, again); diff != "" {
			t.Errorf("a %s Job\n%s", name, diff)
		}
	}
	for name, pod := range map[string]*corev1.Pod{"usual": fullPod(), "hostile": hostilePod()} {
		prunePod(pod)
		again := pod.DeepCopy()
		prunePod(again)
		if diff := cmp.Diff(pod, again); diff != "" {
			t.Errorf("a %s pod\n%s", name, diff)
		}
	}
}

// What is not known of a pod is told in the results, and is no complete capture.
func TestPrunedContainersAreTold(t *testing.T) {
	pod := hostilePod()
	known := len(pod.Spec.Containers) - (maxContainers - 1)
	prunePod(pod)
	containers := results.Containers(pod)
	for _, c := range containers {
		if c.Name == fmt.Sprintf("and %d more", known) && c.Status == nil {
			return
		}
	}
	t.Errorf("no container stands for %d others", known)
}

// Labels and a selector for which the cache has no room are read again.
func TestDroppedIsReadAgain(t *testing.T) {
	whole := hostileJob()
	whole.Labels["team/zzz"], whole.ManagedFields = "last", nil
	r := &Reconciler{Live: fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(whole.DeepCopy()).Build()}
	job := whole.DeepCopy()
	pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
	labels, err := r.podReader().labelsOf(t.Context(), job, []string{"team/zzz", "team/none"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team/zzz": "last"}, labels); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	selector, err := r.podReader().selector(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if want := metav1.FormatLabelSelector(whole.Spec.Selector); selector.String() != want {
		t.Errorf("the selector has %d bytes, want %d", len(selector.String()), len(want))
	}
}

// Nothing is read again of a usual Job.
func TestUsualLabelsAreInTheCache(t *testing.T) {
	job := fullJob()
	job.Labels["team/a"] = "x"
	pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
	labels, err := (&podReader{}).labelsOf(t.Context(), job, []string{"team/a", "team/b"})
	if diff := cmp.Diff(map[string]string{"team/a": "x"}, labels); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// BenchmarkCached prints the heap of a cached object: a usual one, and one that is as
// large as the API server allows.
func BenchmarkCached(b *testing.B) {
	for name, object := range map[string]func() any{
		"usual job": func() any {
			job := fullJob()
			pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
			return job
		},
		"hostile job": func() any {
			job := hostileJob()
			pruneJob(job, policy.Defaults{PropagatableLabels: []string{"team/*"}})
			return job
		},
		"usual pod":   func() any { pod := fullPod(); prunePod(pod); return pod },
		"hostile pod": func() any { pod := hostilePod(); prunePod(pod); return pod },
	} {
		b.Run(name, func(b *testing.B) {
			const count = 50
			for b.Loop() {
				before := heap()
				kept := make([]any, count)
				for i := range kept {
					kept[i] = object()
				}
				b.ReportMetric(float64(heap()-before)/count, "bytes/object")
				runtime.KeepAlive(kept)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
