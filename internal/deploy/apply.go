package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// The webhook of a cert-manager that was installed a moment ago may not
	// answer yet.
	applyTimeout = 3 * time.Minute
	applyRetry   = 2 * time.Second
)

// remedies say what to do about kinds that a cluster does not know.
var remedies = map[string]string{
	"cert-manager.io": "it issues the webhook's certificate: install cert-manager first, " +
		"see https://cert-manager.io/docs/installation/",
	"monitoring.coreos.com": "install the Prometheus operator first, or leave the component prometheus out",
}

// checkKinds returns an error that says what is missing in the cluster, before
// anything is changed there.
func (d *Deployer) checkKinds(objects []*unstructured.Unstructured) error {
	var missing []error
	seen := sets.New[string]()
	for _, object := range objects {
		gvk := object.GroupVersionKind()
		_, err := d.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case err == nil:
		case !meta.IsNoMatchError(err):
			return fmt.Errorf("asking the cluster for its kinds: %w", err)
		case !seen.Has(gvk.String()):
			seen.Insert(gvk.String())
			remedy, known := remedies[gvk.Group]
			if !known {
				remedy = "Kubernetes 1.30 or newer is needed"
			}
			missing = append(missing, fmt.Errorf("the cluster has no %s of %s: %s", gvk.Kind, gvk.GroupVersion(), remedy))
		}
	}
	return errors.Join(missing...)
}

// apply applies the objects, Namespaces first, and returns those that were
// there just so.
func (d *Deployer) apply(ctx context.Context, objects []*unstructured.Unstructured) (unchanged []*unstructured.Unstructured, err error) {
	for _, namespaces := range []bool{true, false} {
		for _, object := range objects {
			if (object.GetKind() == "Namespace") != namespaces {
				continue
			}
			what, err := d.applyOne(ctx, object)
			if err != nil {
				return nil, err
			}
			d.line("%s %s", shown(object), what)
			if what == "unchanged" {
				unchanged = append(unchanged, object)
			}
		}
	}
	return unchanged, nil
}

// applyOne returns what became of the object, in kubectl's words.
func (d *Deployer) applyOne(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	before := object.DeepCopy()
	err := d.client.Get(ctx, client.ObjectKeyFromObject(object), before)
	created := apierrors.IsNotFound(err)
	if err != nil && !created {
		return "", fmt.Errorf("reading %s: %w", shown(object), err)
	}
	applied := object.DeepCopy()
	if err := d.applyPatiently(ctx, applied); err != nil {
		return "", fmt.Errorf("applying %s: %w", shown(object), err)
	}
	switch {
	case created:
		return "created", nil
	case applied.GetResourceVersion() == before.GetResourceVersion():
		return "unchanged", nil
	default:
		return "configured", nil
	}
}

// applyPatiently tries again while another webhook of the cluster does not
// answer, and says so.
func (d *Deployer) applyPatiently(ctx context.Context, object *unstructured.Unstructured) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, applyRetry, applyTimeout, true, func(ctx context.Context) (bool, error) {
		err := d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership)
		if err == nil || !mayHeal(err) {
			return true, err //nolint:wrapcheck // applyOne says what was being done
		}
		if last == nil || last.Error() != err.Error() {
			d.line("%s: %v; trying again", shown(object), err)
		}
		last = err
		return false, nil
	})
	if last != nil && wait.Interrupted(err) {
		return last
	}
	return err //nolint:wrapcheck // applyOne says what was being done
}

func mayHeal(err error) bool {
	return apierrors.IsInternalError(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err)
}

// shown returns the object as kubectl names it.
func shown(object client.Object) string {
	gvk := object.GetObjectKind().GroupVersionKind()
	kind := strings.ToLower(gvk.Kind)
	if gvk.Group != "" {
		kind += "." + gvk.Group
	}
	return kind + "/" + object.GetName()
}
