package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	batchv1client "k8s.io/client-go/kubernetes/typed/batch/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/version"
)

// pageSize is how many results objects are fetched at once: each may have 1 MiB.
const pageSize = 25

// cluster is the part of a cluster that a command reads.
type cluster struct {
	core     corev1client.CoreV1Interface
	jobs     batchv1client.JobsGetter
	metadata metadata.Interface
	access   authorizationv1client.SelfSubjectAccessReviewsGetter
	// namespace is the one that the flags name; "" if list reads all.
	namespace string
	// kinds are the kinds of objects with results: see readable.
	kinds []kind
	asked bool
	// unlisted is true if the user may not list Secrets.
	unlisted bool
}

// kind is a kind of objects that hold results.
type kind interface {
	// name is the Kind of a results.Object.
	name() string
	resource() schema.GroupVersionResource
	get(ctx context.Context, namespace, name string) (*results.Object, error)
	// list returns a page of objects, and where the next one begins.
	list(ctx context.Context, namespace string, opts metav1.ListOptions) ([]*results.Object, string, error)
}

// connect returns the cluster that the flags name.
func (p *plugin) connect() (*cluster, error) {
	config, err := p.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	config.UserAgent = "kubectl-job_results/" + version.Version
	namespace, _, err := p.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the namespace from the kubeconfig: %w", err)
	}
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	batch, err := batchv1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	access, err := authorizationv1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return &cluster{
		core: core, jobs: batch, metadata: meta, access: access, namespace: namespace,
		kinds: []kind{configMaps{core}},
	}, nil
}

// configMaps is the default kind of results.
type configMaps struct{ client corev1client.ConfigMapsGetter }

func (configMaps) name() string { return api.ResultsKindConfigMap }

func (configMaps) resource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}

func (k configMaps) get(ctx context.Context, namespace, name string) (*results.Object, error) {
	cm, err := k.client.ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("getting ConfigMap %s: %w", name, err)
	}
	return results.Decode(cm), nil
}

func (k configMaps) list(ctx context.Context, namespace string, opts metav1.ListOptions) ([]*results.Object, string, error) {
	page, err := k.client.ConfigMaps(namespace).List(ctx, opts)
	if err != nil {
		return nil, "", fmt.Errorf("listing ConfigMaps: %w", err)
	}
	objects := make([]*results.Object, 0, len(page.Items))
	for i := range page.Items {
		objects = append(objects, results.Decode(&page.Items[i]))
	}
	return objects, page.Continue, nil
}
