package namespace

import (
	"context"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/job-handler/job-handler/internal/api"
)

// brokenScan is the scan interval while Jobs are not stamped when they are created: a Job
// that ends and is deleted before it is found leaves no results.
const brokenScan = 30 * time.Second

// Admission records whether admission stamps Jobs. While it does not, opted-in Namespaces
// are scanned more often, and once more as soon as it does again. It is safe for
// concurrent use.
type Admission struct {
	broken  atomic.Bool
	changed chan event.TypedGenericEvent[bool]
}

// NewAdmission returns an Admission that is assumed to stamp Jobs.
func NewAdmission() *Admission {
	return &Admission{changed: make(chan event.TypedGenericEvent[bool], 1)}
}

// Found records whether a Job was stamped when it was created.
func (a *Admission) Found(stamped bool) {
	if a.broken.Swap(!stamped) == !stamped {
		return
	}
	select {
	case a.changed <- event.TypedGenericEvent[bool]{Object: stamped}:
	default: // One that nobody has taken yet says the same: look at all of them.
	}
}

// source enqueues all opted-in Namespaces when admission breaks and when it works again.
func (a *Admission) source(kube client.Reader) source.Source {
	return source.Channel(a.changed, handler.TypedEnqueueRequestsFromMapFunc(
		func(ctx context.Context, _ bool) []reconcile.Request {
			optedIn := &metav1.PartialObjectMetadataList{}
			optedIn.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
			if err := kube.List(ctx, optedIn, client.MatchingLabels{api.EnabledLabel: api.True}); err != nil {
				ctrl.LoggerFrom(ctx).Info("namespaces not searched before the next scan", "cause", err.Error())
				return nil
			}
			var requests []reconcile.Request
			for i := range optedIn.Items {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&optedIn.Items[i])})
			}
			return requests
		}))
}
