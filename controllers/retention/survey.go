package retention

import (
	"context"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/retain"
)

const (
	// progressObjects is after how many listed objects progress is logged.
	progressObjects = 20_000
	// mostValue is longer than any label or annotation of ours.
	mostValue = 512
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=list

// survey lists all objects of ours, and reports their sizes to holdings.
func (r *Retainer) survey(ctx context.Context, now time.Time) (*retain.Survey, error) {
	survey := retain.NewSurvey(now, retain.Options{
		KeepCompleted: r.Options.KeepCompleted, KeepFailed: r.Options.KeepFailed, Horizon: r.Options.Interval,
	}, r.settled)
	r.Store.Holdings.Begin()
	if err := r.list(ctx, api.ResultsKindConfigMap, "", survey); err != nil {
		return nil, err
	}
	namespaces, err := r.withSecrets(ctx)
	if err != nil {
		return nil, err
	}
	for _, namespace := range namespaces {
		if err := r.listSecrets(ctx, namespace, survey); err != nil {
			return nil, err
		}
	}
	r.Store.Holdings.Counted(survey.Bytes, survey.Soon)
	return survey, nil
}

// list adds the objects of ours of a kind, in one namespace, or in all for "".
func (r *Retainer) list(ctx context.Context, kind, namespace string, survey *retain.Survey) error {
	listed := 0
	err := r.lister().Each(ctx, pager.Query{
		List: pager.Metadata(corev1.SchemeGroupVersion.WithKind(kind)), Prune: keepOurs,
		Options: client.ListOptions{
			Namespace: namespace, LabelSelector: labels.SelectorFromSet(labels.Set{api.CreatedLabel: api.True}),
		},
	}, func(object client.Object) error {
		survey.Add(kind, object)
		if listed++; listed%progressObjects == 0 {
			ctrl.LoggerFrom(ctx).Info("checking results", "kind", kind, "soFar", listed)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing results in %ss: %w", kind, err)
	}
	return nil
}

func (r *Retainer) lister() pager.Lister { return pager.Lister{Live: r.Live, Gate: r.Lists} }

// keepOurs drops labels and annotations that are not ours: users choose their size, and a
// survey keeps some objects.
func keepOurs(object client.Object) {
	object.SetManagedFields(nil)
	for _, all := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
		for key, value := range all {
			switch {
			case !strings.HasPrefix(key, api.Prefix) && key != api.JobNameLabel:
				delete(all, key)
			case len(value) > mostValue:
				all[key] = strings.Clone(value[:mostValue])
			}
		}
	}
}

// listSecrets lists the Secrets of a namespace. It finds none if the right was withdrawn
// meanwhile.
func (r *Retainer) listSecrets(ctx context.Context, namespace string, survey *retain.Survey) error {
	err := r.list(ctx, api.ResultsKindSecret, namespace, survey)
	switch apierr.Of(err) {
	case apierr.NotFound, apierr.Rejected:
		if err != nil && r.hourly("secrets") {
			ctrl.LoggerFrom(ctx).Info("results in Secrets are not checked", "namespace", namespace, "cause", err.Error())
		}
		return nil
	default:
		return err
	}
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// withSecrets returns the namespaces in which the manager may list Secrets. It asks for
// the right first, since being refused is normal.
func (r *Retainer) withSecrets(ctx context.Context) ([]string, error) {
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.Client.List(ctx, namespaces); err != nil {
		return nil, fmt.Errorf("listing cached namespaces: %w", err)
	}
	var allowed []string
	for i := range namespaces.Items {
		name := namespaces.Items[i].Name
		may, err := r.mayListSecrets(ctx, name)
		if apierr.Of(err) == apierr.Rejected {
			if r.hourly("review") {
				ctrl.LoggerFrom(ctx).Info("results in Secrets are not checked: the manager cannot ask for its rights", "cause", err.Error())
			}
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if may {
			allowed = append(allowed, name)
		}
	}
	return allowed, nil
}

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=selfsubjectaccessreviews,verbs=create

// mayListSecrets asks the API server whether the manager may list Secrets. By default
// every account may ask.
func (r *Retainer) mayListSecrets(ctx context.Context, namespace string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Resource: "secrets"},
	}}
	if err := r.Client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking for the right to list Secrets in namespace %s: %w", namespace, err)
	}
	return review.Status.Allowed, nil
}
