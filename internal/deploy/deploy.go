package deploy

import (
	"context"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// fieldOwner is the name under which objects are applied.
const fieldOwner = client.FieldOwner("job-handler-deploy")

// Deployer works on one cluster with an administrator's rights. Every line
// that it prints is about something that has happened, or that it waits for.
type Deployer struct {
	client client.Client
	out    io.Writer
}

// New returns a Deployer for the cluster of config. It prints to out what it
// does.
func New(config *rest.Config, out io.Writer) (*Deployer, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("adding Kubernetes' kinds: %w", err)
	}
	kube, err := client.New(config, client.Options{Scheme: scheme, FieldOwner: string(fieldOwner)})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return &Deployer{client: kube, out: out}, nil
}

// Deploy applies the objects of a rendered installation and returns when the
// API server sends Jobs to it. What is installed already is brought to what
// the objects say. Restart has pods that the objects would leave as they are
// begin anew: for an image that was replaced under its name.
func (d *Deployer) Deploy(ctx context.Context, objects []*unstructured.Unstructured, restart bool) error {
	if err := d.checkKinds(objects); err != nil {
		return err
	}
	unchanged, err := d.apply(ctx, objects)
	if err != nil {
		return err
	}
	if restart {
		if err := d.restart(ctx, unchanged); err != nil {
			return err
		}
	}
	if err := d.awaitInstallation(ctx, objects); err != nil {
		return err
	}
	if err := AwaitAdmission(ctx, d.client); err != nil {
		return err
	}
	d.line("Jobs are sent to it: %s is ready.", api.ManagerName)
	return nil
}

func (d *Deployer) line(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}
