package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

const (
	certManagerModule = "github.com/cert-manager/cert-manager"
	certManagerAPI    = "cert-manager.io/v1"
)

// startCertManager starts cert-manager, if it was asked for, and returns when
// it is ready.
func (c *Cluster) startCertManager(ctx context.Context, o Options) error {
	if !o.CertManager {
		return nil
	}
	started := time.Now()
	if err := c.defineCertManager(ctx); err != nil {
		return err
	}
	if err := c.Launch(ctx, c.certManager()); err != nil {
		return err
	}
	c.progress.line("cert-manager is ready after %s", since(started))
	return nil
}

func (c *Cluster) certManager() Component {
	address := hostPort(loopback, c.port(portCertManager))
	return Component{Name: CertManager, Health: "http://" + address + "/readyz", Args: []string{
		"--kubeconfig=" + c.folder.kubeconfig(),
		"--health-probe-bind-address=" + address,
	}}
}

// defineCertManager creates the resource definitions of cert-manager's module
// and returns when they are served.
func (c *Cluster) defineCertManager(ctx context.Context) error {
	root, err := ModuleFolder(ctx, "certmanager", certManagerModule)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(root, "deploy", "crds", "*.yaml"))
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	definitions := client.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	for _, path := range paths {
		definition, err := readObject(path)
		if err != nil {
			return err
		}
		if _, err := definitions.Create(ctx, definition, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating %s: %w", definition.GetName(), err)
		}
	}
	return c.awaitAPI(ctx, certManagerAPI, "certificates", "certificaterequests", "issuers", "clusterissuers")
}

func readObject(path string) (*unstructured.Unstructured, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &object.Object); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return object, nil
}

// awaitAPI waits until the apiserver serves resources of an API.
func (c *Cluster) awaitAPI(ctx context.Context, groupVersion string, resources ...string) error {
	client, err := discovery.NewDiscoveryClientForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	missing := errors.New("not asked yet")
	served := func(context.Context) (bool, error) {
		var list *metav1.APIResourceList
		if list, missing = client.ServerResourcesForGroupVersion(groupVersion); missing != nil {
			return false, nil //nolint:nilerr // It is asked again, and missing says why.
		}
		known := map[string]bool{}
		for i := range list.APIResources {
			known[list.APIResources[i].Name] = true
		}
		for _, resource := range resources {
			if !known[resource] {
				missing = fmt.Errorf("it does not have %s", resource)
				return false, nil
			}
		}
		return true, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, served); err != nil {
		return fmt.Errorf("waiting for the API %s: %w (%w)", groupVersion, err, missing)
	}
	return nil
}
