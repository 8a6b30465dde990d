package hostmanager

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
)

const fieldOwner = client.FieldOwner("job-handler-host")

// The namespace comes before what is in it.
var manifests = []string{
	"rbac/namespace.yaml",
	"rbac/service_account.yaml",
	"rbac/role.yaml",
	"rbac/role_binding.yaml",
	"rbac/leader_election_role.yaml",
	"rbac/leader_election_role_binding.yaml",
	config.PolicyManifests,
	webhookManifests,
}

const webhookManifests = "webhook/manifests.yaml"

// install applies the manifests with admin's rights. The webhooks are reached
// at baseURL, with a certificate of the authority ca (PEM).
func install(ctx context.Context, admin *rest.Config, baseURL string, ca []byte) error {
	objects, err := config.Load(manifests...)
	if err != nil {
		return err
	}
	c, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	for _, object := range objects {
		if err := pointAt(object, baseURL, ca); err != nil {
			return err
		}
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), fieldOwner, client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// uninstallWebhooks removes the webhook configurations. Without them the
// cluster is as if the manager had never been there, but for its RBAC and the
// policies that narrow it.
func uninstallWebhooks(ctx context.Context, admin *rest.Config) error {
	c, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	objects, err := config.Load(webhookManifests)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// pointAt replaces the Service through which a webhook configuration reaches
// the manager by a URL. Other objects stay as they are.
func pointAt(object *unstructured.Unstructured, baseURL string, ca []byte) error {
	var err error
	switch object.GetKind() {
	case "MutatingWebhookConfiguration":
		configuration := &admissionv1.MutatingWebhookConfiguration{}
		err = edit(object, configuration, func() {
			for i := range configuration.Webhooks {
				toURL(&configuration.Webhooks[i].ClientConfig, baseURL, ca)
			}
		})
	case "ValidatingWebhookConfiguration":
		configuration := &admissionv1.ValidatingWebhookConfiguration{}
		err = edit(object, configuration, func() {
			for i := range configuration.Webhooks {
				toURL(&configuration.Webhooks[i].ClientConfig, baseURL, ca)
			}
		})
	}
	if err != nil {
		return fmt.Errorf("pointing %s %s at %s: %w", object.GetKind(), object.GetName(), baseURL, err)
	}
	return nil
}

// edit changes object through its typed form.
func edit(object *unstructured.Unstructured, typed any, change func()) error {
	converter := runtime.DefaultUnstructuredConverter
	if err := converter.FromUnstructured(object.Object, typed); err != nil {
		return err
	}
	change()
	content, err := converter.ToUnstructured(typed)
	if err != nil {
		return err
	}
	object.Object = content
	unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
	return nil
}

func toURL(clientConfig *admissionv1.WebhookClientConfig, baseURL string, ca []byte) {
	url := baseURL
	if service := clientConfig.Service; service != nil && service.Path != nil {
		url += *service.Path
	}
	*clientConfig = admissionv1.WebhookClientConfig{URL: &url, CABundle: ca}
}
