package podlogs

import (
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/resultstore"
	"github.com/job-handler/job-handler/internal/why"
)

// Options are what the operator sets.
type Options struct {
	Defaults           policy.Defaults
	ExcludedNamespaces []string
	// MaxResultsBytes bounds what is stored of one Job; 0 means api.MaxResultsBytes.
	MaxResultsBytes int
	// Redact replaces credentials in messages; nil: none.
	Redact *redact.Set
}

// Keeper keeps logs and last states of deleted pods.
type Keeper struct {
	// Client reads Jobs and Namespaces from the cache and writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Lists bounds the lists of live objects, with those of other controllers; nil: each
	// alone is bounded.
	Lists *pager.Gate
	// Captures has the logs and last states of deleted pods in memory; nil keeps nothing.
	Captures *capture.Captures
	// Metrics counts saved captures; nil disables counting.
	Metrics *metrics.Captures
	// Store keeps saved captures, and says which budgets are exceeded.
	Store   *resultstore.Store
	Events  *events.Recorder
	Clock   clock.PassiveClock
	Ledger  *ledger.Ledger
	Options Options

	orphans orphans
	saved   saved
	loading loading
	refused refused
	// watching ends when all captures are saved: see Wait.
	watching sync.WaitGroup
}

// Watch returns the Runnable that watches pods and saves captures while the manager
// handles Jobs.
func (k *Keeper) Watch(informers cache.Informers) manager.Runnable {
	return &watch{Keeper: k, informers: informers}
}

// Wait waits until the captures are saved beside their Jobs, at most lastSaves. The
// manager's own shutdown waits for that too, unless it ends because it lost its lease.
// Saving is safe beside another leader: objects are only created, under free numbers.
func (k *Keeper) Wait() { k.watching.Wait() }

// Following reports whether logs of the Job's pods are being followed. From now on they
// are followed only until they end.
func (k *Keeper) Following(job types.UID) bool {
	k.Captures.Finish(job)
	return k.Captures.Following(job)
}

// OnQuiet makes Captures call f with a pod once no log of its Job is followed any more.
func (k *Keeper) OnQuiet(f func(pod *corev1.Pod)) { k.Captures.OnQuiet(f) }

// Enabled reports whether deleted pods are captured at all.
func (k *Keeper) Enabled() bool { return k.Captures != nil }

// Owns reports whether the pod belongs to the Job, even if the garbage collector removed
// the owner reference.
func (k *Keeper) Owns(job *batchv1.Job, pod *corev1.Pod) bool {
	return plan.Owns(job, pod, k.orphans.has(job.UID, pod.UID))
}

// Known returns the pods and the Job's captured pods. A pod may be there twice.
func (k *Keeper) Known(job *batchv1.Job, pods []*corev1.Pod) []*corev1.Pod {
	return slices.Concat(pods, k.Captures.Seen(job.UID))
}

// AsSeen returns the pods. For pods that did not start, it uses an earlier state that the
// watch showed if that tells more.
func (k *Keeper) AsSeen(job *batchv1.Job, pods []*corev1.Pod) []*corev1.Pod {
	for _, seen := range k.Captures.Seen(job.UID) {
		for i, pod := range pods {
			if pod.UID == seen.UID {
				pods[i] = why.Keep(seen, pod)
			}
		}
	}
	return pods
}

// AsDeleted returns the pods, and the captured state of each that was captured.
func (k *Keeper) AsDeleted(job *batchv1.Job, pods []*corev1.Pod) []*corev1.Pod {
	captured := k.Captures.Seen(job.UID)
	if len(captured) == 0 {
		return pods
	}
	there := sets.Set[types.UID]{}
	for _, pod := range pods {
		there.Insert(pod.UID)
	}
	return slices.Concat(pods, slices.DeleteFunc(captured, func(pod *corev1.Pod) bool { return !there.Has(pod.UID) }))
}

// Stored drops the captures of a Job whose results are stored from memory.
func (k *Keeper) Stored(job types.UID) { k.Captures.Forget(job) }

// Left drops what is known of a Job that left the watch after its results were stored.
func (k *Keeper) Left(job types.UID) { k.saved.done(job) }

// Forget drops what is known of a Job that is gone, or left alone.
func (k *Keeper) Forget(job types.UID) {
	k.saved.forgetAll(job, k.Store)
	k.orphans.forget(job)
	k.refused.forget(job)
	k.Captures.Forget(job)
}

func (k *Keeper) excluded(namespace string) bool {
	return slices.Contains(k.Options.ExcludedNamespaces, namespace)
}

func (k *Keeper) lister() pager.Lister { return pager.Lister{Live: k.Live, Gate: k.Lists} }
