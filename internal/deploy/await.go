package deploy

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// How long a step may take, how often it is looked at, and after how long
	// a line says that it is still waited for.
	awaitTimeout = 5 * time.Minute
	awaitPoll    = time.Second
	awaitBeat    = 15 * time.Second
)

// await polls look until it returns the empty text. It prints what look
// returns, what is waited for, when that changes and now and then; the last of
// it is in the error.
func (d *Deployer) await(ctx context.Context, look func(context.Context) (string, error)) error {
	var last string
	var waited, said time.Duration
	err := wait.PollUntilContextTimeout(ctx, awaitPoll, awaitTimeout, true, func(ctx context.Context) (bool, error) {
		state, err := look(ctx)
		if err != nil || state == "" {
			return true, err
		}
		switch {
		case state != last:
			d.line("waiting: %s", state)
			last, said = state, waited
		case waited-said >= awaitBeat:
			d.line("waiting: %s (for %s so far)", state, waited)
			said = waited
		}
		waited += awaitPoll
		return false, nil
	})
	if last != "" && wait.Interrupted(err) {
		return fmt.Errorf("waited for %s: %s", awaitTimeout, last)
	}
	return err //nolint:wrapcheck // what look returns says what it was about
}

// awaitInstallation waits until certificates are issued and Deployments run
// what the objects say.
func (d *Deployer) awaitInstallation(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() == "Certificate" {
			if err := d.await(ctx, d.certificate(object)); err != nil {
				return err
			}
		}
	}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			if err := d.await(ctx, d.rollout(client.ObjectKeyFromObject(object))); err != nil {
				return fmt.Errorf("%w\nlook at: kubectl -n %s describe pods; kubectl -n %s logs deployment/%s",
					err, object.GetNamespace(), object.GetNamespace(), object.GetName())
			}
			d.line("%s runs", shown(object))
		}
	}
	return nil
}

// certificate tells what a Certificate lacks.
func (d *Deployer) certificate(object *unstructured.Unstructured) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		now := object.DeepCopy()
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(object), now); err != nil {
			return "", fmt.Errorf("reading %s: %w", shown(object), err)
		}
		message := "cert-manager has not looked at it"
		conditions, _, err := unstructured.NestedSlice(now.Object, "status", "conditions")
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", shown(object), err)
		}
		for _, item := range conditions {
			condition, ok := item.(map[string]any)
			if !ok || condition["type"] != "Ready" {
				continue
			}
			if condition["status"] == string(metav1.ConditionTrue) {
				return "", nil
			}
			message = fmt.Sprint(condition["message"])
		}
		return fmt.Sprintf("%s is not issued: %s", shown(object), message), nil
	}
}

// rollout tells what a Deployment lacks: all of its replicas are of the newest
// kind and ready, and no older one is left.
func (d *Deployer) rollout(key client.ObjectKey) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		deployment := &appsv1.Deployment{}
		if err := d.client.Get(ctx, key, deployment); err != nil {
			return "", fmt.Errorf("reading Deployment %s: %w", key, err)
		}
		wanted, status := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
		current := status.ObservedGeneration >= deployment.Generation
		if current && status.UpdatedReplicas == wanted && status.AvailableReplicas == wanted && status.Replicas == wanted {
			return "", nil
		}
		ready := int32(0)
		if current {
			ready = min(status.UpdatedReplicas, status.AvailableReplicas)
		}
		text := fmt.Sprintf("deployment.apps/%s has %d of %d replicas ready", key.Name, ready, wanted)
		if current && status.Replicas > status.UpdatedReplicas {
			text += fmt.Sprintf(", and %d older", status.Replicas-status.UpdatedReplicas)
		}
		troubles, err := d.troubles(ctx, deployment)
		return strings.Join(append([]string{text}, troubles...), "; "), err
	}
}

// troubles tells what keeps containers of the Deployment from running.
func (d *Deployer) troubles(ctx context.Context, deployment *appsv1.Deployment) ([]string, error) {
	pods, err := d.pods(ctx, deployment)
	if err != nil {
		return nil, err
	}
	var troubles []string
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if waiting := status.State.Waiting; waiting != nil && waiting.Message != "" {
				troubles = append(troubles, fmt.Sprintf("pod %s: %s: %s", pods[i].Name, waiting.Reason, waiting.Message))
			}
		}
	}
	return troubles, nil
}

// pods returns the pods that the Deployment's selector selects.
func (d *Deployer) pods(ctx context.Context, deployment *appsv1.Deployment) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(deployment.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of Deployment %s: %w", deployment.Name, err)
	}
	var list corev1.PodList
	err = d.client.List(ctx, &list, client.InNamespace(deployment.Namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing pods of Deployment %s: %w", deployment.Name, err)
	}
	return list.Items, nil
}

// restart begins Deployments among the objects anew, as kubectl rollout restart
// does.
func (d *Deployer) restart(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		deployment := &appsv1.Deployment{}
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(object), deployment); err != nil {
			return fmt.Errorf("reading %s: %w", shown(object), err)
		}
		patch := client.MergeFrom(deployment.DeepCopy())
		metav1.SetMetaDataAnnotation(&deployment.Spec.Template.ObjectMeta,
			"kubectl.kubernetes.io/restartedAt", metav1.Now().UTC().Format(time.RFC3339))
		if err := d.client.Patch(ctx, deployment, patch); err != nil {
			return fmt.Errorf("restarting %s: %w", shown(object), err)
		}
		d.line("%s restarted", shown(object))
	}
	return nil
}
