package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// secrets is the kind of results with results-kind Secret.
type secrets struct{ client corev1client.SecretsGetter }

func (secrets) name() string { return api.ResultsKindSecret }

func (secrets) resource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("secrets")
}

func (k secrets) get(ctx context.Context, namespace, name string) (*results.Object, error) {
	secret, err := k.client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("getting Secret %s: %w", name, err)
	}
	return results.Decode(secret), nil
}

func (k secrets) list(ctx context.Context, namespace string, opts metav1.ListOptions) ([]*results.Object, string, error) {
	opts.FieldSelector = "type=" + api.SecretType
	page, err := k.client.Secrets(namespace).List(ctx, opts)
	if err != nil {
		return nil, "", fmt.Errorf("listing Secrets: %w", err)
	}
	objects := make([]*results.Object, 0, len(page.Items))
	for i := range page.Items {
		objects = append(objects, results.Decode(&page.Items[i]))
	}
	return objects, page.Continue, nil
}

// readable returns the kinds of results that the user may list. Few users may list
// Secrets, and most results are in ConfigMaps. It asks once, for the namespace of the
// command.
func (c *cluster) readable(ctx context.Context) []kind {
	if c.asked {
		return c.kinds
	}
	c.asked = true
	resource := corev1.SchemeGroupVersion.WithResource("secrets")
	_, err := c.metadata.Resource(resource).Namespace(c.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: api.CreatedLabel + "=" + api.True, Limit: 1,
	})
	if c.unlisted = apierrors.IsForbidden(err); !c.unlisted {
		c.kinds = append(c.kinds, secrets{c.core})
	}
	return c.kinds
}
