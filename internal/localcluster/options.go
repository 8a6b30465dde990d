package localcluster

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Options describe a cluster. The zero value is etcd and kube-apiserver in a
// temporary folder.
type Options struct {
	// Nodes are added to the control plane; nil means none.
	Nodes *Nodes
	// Dir is the data folder; what an earlier cluster left in it is removed.
	// Empty means a temporary folder, which Stop removes.
	Dir string
	// Progress gets lines about what happens; nil means none.
	Progress io.Writer

	// Kubernetes is the minor of the API server and of the controller manager, such
	// as 1.30. Empty means what the environment variable ReleaseVariable says, and
	// the newest without one. An older minor has neither a scheduler nor nodes.
	Kubernetes string

	// ControllerManager and Scheduler add these; a cluster with nodes always has them.
	ControllerManager bool
	Scheduler         bool

	// CertManager adds cert-manager's resource definitions, its controllers for
	// the issuers CA and SelfSigned, and its CA injector. Its webhook is not
	// there: nothing sets defaults or refuses what is invalid.
	CertManager bool

	// Sync has etcd wait for the disk at every write, as in production. A
	// benchmark wants that, a test that is done with its data at the end does not.
	Sync bool
	// ExtraArgs are arguments added to those of a component, by its name; a
	// later argument beats an earlier one.
	ExtraArgs map[string][]string
	// AuditPolicy is a policy in YAML, such as AuditMetadata; the apiserver
	// then logs requests to audit.log in the folder of logs. Empty means none.
	AuditPolicy string

	// Detach leaves the cluster running when the calling process ends. Down,
	// or Open and Stop, end it.
	Detach bool
}

// AuditMetadata is an audit policy that logs who asked for what, once a
// request, without the objects.
const AuditMetadata = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// withDefaults returns the options with what was left out, or what is wrong
// with them.
func (o Options) withDefaults() (Options, error) {
	o.Kubernetes = cmp.Or(o.Kubernetes, os.Getenv(ReleaseVariable))
	if o.Nodes != nil {
		o.ControllerManager, o.Scheduler = true, true
	}
	if err := o.validate(); err != nil || o.Dir == "" {
		return o, err
	}
	dir, err := filepath.Abs(o.Dir)
	o.Dir = dir
	return o, err
}

func (o Options) validate() error {
	if o.Dir == "" && o.Detach {
		return errors.New("a cluster that is left running needs a data folder")
	}
	newest, err := newestMinor()
	if err != nil {
		return err
	}
	if o.Kubernetes != "" && o.Kubernetes != newest && o.Scheduler {
		return fmt.Errorf("a cluster of Kubernetes %s has no scheduler and no nodes: those are of %s only", o.Kubernetes, newest)
	}
	for name := range o.ExtraArgs {
		if !slices.Contains(componentNames, name) {
			return fmt.Errorf("extra arguments for %q: the components are %v", name, componentNames)
		}
	}
	return nil
}

// programs returns the sets of programs that the cluster needs.
func (o Options) programs() Set {
	set := ControlPlanePrograms
	if o.CertManager {
		set |= CertManagerPrograms
	}
	if o.Nodes != nil {
		set |= o.Nodes.Programs
	}
	return set
}
