package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/release"
)

// Undeploy removes the objects of an installation and what would go on acting
// without it; results stay. The order is such that nobody is stopped and nothing
// is undone: webhook configurations go first, then the manager ends, then what
// it holds is released, then the rest is removed. It may be called again, also
// after it was interrupted.
func (d *Deployer) Undeploy(ctx context.Context, objects []*unstructured.Unstructured) error {
	webhooks, rest := splitWebhooks(objects)
	if err := d.removeAll(ctx, webhooks); err != nil {
		return err
	}
	for _, object := range rest {
		if object.GetKind() == "Deployment" {
			if err := d.scaleDown(ctx, client.ObjectKeyFromObject(object)); err != nil {
				return err
			}
		}
	}
	releaser := release.Releaser{
		Client: d.client, Out: d.out,
		Lease: client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName},
	}
	if err := releaser.Run(ctx); err != nil {
		return err
	}
	if err := d.removeAll(ctx, rest); err != nil {
		return err
	}
	return d.awaitGone(ctx, rest)
}

// splitWebhooks takes webhook configurations out of the objects.
func splitWebhooks(objects []*unstructured.Unstructured) (webhooks, rest []*unstructured.Unstructured) {
	for _, object := range objects {
		switch object.GetKind() {
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			webhooks = append(webhooks, object)
		default:
			rest = append(rest, object)
		}
	}
	return webhooks, rest
}

// removeAll deletes the objects, the last first.
func (d *Deployer) removeAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range slices.Backward(objects) {
		if err := d.remove(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// scaleDown ends the manager and waits until none of it is left.
func (d *Deployer) scaleDown(ctx context.Context, key client.ObjectKey) error {
	deployment := &appsv1.Deployment{}
	err := d.client.Get(ctx, key, deployment)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading Deployment %s: %w", key, err)
	}
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Spec.Replicas = new(int32(0))
	if err := d.client.Patch(ctx, deployment, patch); err != nil {
		return fmt.Errorf("scaling Deployment %s to 0: %w", key, err)
	}
	d.line("deployment.apps/%s scaled to 0", key.Name)
	return d.await(ctx, func(ctx context.Context) (string, error) {
		pods, err := d.pods(ctx, deployment)
		if err != nil || len(pods) == 0 {
			return "", err
		}
		return fmt.Sprintf("%d pods of deployment.apps/%s end what they have begun", len(pods), key.Name), nil
	})
}

// remove deletes the object, dependents in the background; one that is not
// there, or whose kind is not, is none of its trouble.
func (d *Deployer) remove(ctx context.Context, object *unstructured.Unstructured) error {
	err := d.client.Delete(ctx, object.DeepCopy(), client.PropagationPolicy("Background"))
	switch {
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return nil
	case err != nil:
		return fmt.Errorf("deleting %s: %w", shown(object), err)
	}
	d.line("%s deleted", shown(object))
	return nil
}

// awaitGone waits until Namespaces among the objects, and all that was in
// them, are gone.
func (d *Deployer) awaitGone(ctx context.Context, objects []*unstructured.Unstructured) error {
	var failed []error
	for _, object := range objects {
		if object.GetKind() != "Namespace" {
			continue
		}
		err := d.await(ctx, func(ctx context.Context) (string, error) {
			now := object.DeepCopy()
			err := d.client.Get(ctx, client.ObjectKeyFromObject(object), now)
			if err == nil {
				return shown(object) + " is there still", nil
			}
			return "", client.IgnoreNotFound(err)
		})
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
