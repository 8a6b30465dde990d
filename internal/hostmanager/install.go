package hostmanager

import (
	"context"
	"fmt"
	"slices"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
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
}

const webhookManifests = "webhook/manifests.yaml"

// endpoint is how the API server reaches the webhooks.
type endpoint struct {
	baseURL string
	// ca is the authority, PEM-encoded, that it trusts; nil where cert-manager
	// injects that of issuer, a Certificate.
	ca     []byte
	issuer types.NamespacedName
}

// install applies the manifests with admin's rights; the webhooks are reached
// at the endpoint, and left out if that is the zero value.
func install(ctx context.Context, admin *rest.Config, webhooks endpoint) error {
	files := manifests
	if webhooks.baseURL != "" {
		files = append(slices.Clone(files), webhookManifests)
	}
	objects, err := config.Load(files...)
	if err != nil {
		return err
	}
	c, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	for _, object := range objects {
		if err := webhooks.pointAt(object); err != nil {
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
// the manager by the endpoint. Other objects stay as they are.
func (e endpoint) pointAt(object *unstructured.Unstructured) error {
	var err error
	switch object.GetKind() {
	case "MutatingWebhookConfiguration":
		configuration := &admissionv1.MutatingWebhookConfiguration{}
		err = edit(object, configuration, func() {
			e.injectInto(configuration)
			for i := range configuration.Webhooks {
				e.reach(&configuration.Webhooks[i].ClientConfig)
			}
		})
	case "ValidatingWebhookConfiguration":
		configuration := &admissionv1.ValidatingWebhookConfiguration{}
		err = edit(object, configuration, func() {
			e.injectInto(configuration)
			for i := range configuration.Webhooks {
				e.reach(&configuration.Webhooks[i].ClientConfig)
			}
		})
	}
	if err != nil {
		return fmt.Errorf("pointing %s %s at %s: %w", object.GetKind(), object.GetName(), e.baseURL, err)
	}
	return nil
}

// injectInto asks cert-manager's CA injector for the authority, as
// config/default does.
func (e endpoint) injectInto(configuration metav1.Object) {
	if e.issuer.Name != "" {
		configuration.SetAnnotations(map[string]string{certmanagerv1.WantInjectAnnotation: e.issuer.String()})
	}
}

func (e endpoint) reach(clientConfig *admissionv1.WebhookClientConfig) {
	url := e.baseURL
	if service := clientConfig.Service; service != nil && service.Path != nil {
		url += *service.Path
	}
	*clientConfig = admissionv1.WebhookClientConfig{URL: &url, CABundle: e.ca}
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
