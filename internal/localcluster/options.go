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

// Mode says which parts a cluster has.
type Mode string

// The modes.
const (
	// ControlPlane is etcd and kube-apiserver, with kube-controller-manager
	// and kube-scheduler as asked for. No pod ever runs.
	ControlPlane Mode = "control-plane"
	// WithKWOK is the whole control plane with nodes that are simulated: pods
	// turn Running at once, those of Jobs Succeeded, and their logs are the
	// content of a file.
	WithKWOK Mode = "kwok"
	// WithNode is the whole control plane and this machine as a node that
	// runs containers. It needs root, and there is one on a machine.
	WithNode Mode = "node"
)

// Options describe a cluster. The zero value is etcd and kube-apiserver in a
// temporary folder.
type Options struct {
	// Mode defaults to ControlPlane.
	Mode Mode
	// Dir is the data folder; what an earlier cluster left in it is removed.
	// Empty means a temporary folder, which Stop removes.
	Dir string
	// Progress gets lines about what happens; nil means none.
	Progress io.Writer

	// Kubernetes is the minor of the API server and of the controller manager, such
	// as 1.30. Empty means what the environment variable ReleaseVariable says, and
	// the newest without one. An older minor has only the mode ControlPlane, without
	// a scheduler.
	Kubernetes string

	// ControllerManager and Scheduler add these to the mode ControlPlane; the
	// other modes always have them.
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

	// FakeNodes is the number of nodes that KWOK plays, 1 by default.
	FakeNodes int
	// FakeLog is the log of every container of KWOK's nodes: a file in CRI
	// format. Empty means a log of one line.
	FakeLog string

	// WaitForNode has a start in the mode WithNode wait while another cluster
	// has the machine's one node; else that is an error.
	WaitForNode bool
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
	if o.Mode == "" {
		o.Mode = ControlPlane
	}
	o.Kubernetes = cmp.Or(o.Kubernetes, os.Getenv(ReleaseVariable))
	if o.FakeNodes == 0 {
		o.FakeNodes = 1
	}
	if o.Mode != ControlPlane {
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
	modes := []Mode{ControlPlane, WithKWOK, WithNode}
	if !slices.Contains(modes, o.Mode) {
		return fmt.Errorf("unknown mode %q: the modes are %v", o.Mode, modes)
	}
	if o.Mode == WithNode && os.Getuid() != 0 {
		return errors.New("a cluster with a node needs root: containers need namespaces, mounts and a bridge")
	}
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

// programs returns the sets of programs that a cluster needs.
func (o Options) programs() Set {
	if o.CertManager {
		return o.Mode.programs() | CertManagerPrograms
	}
	return o.Mode.programs()
}

// programs returns the sets of programs that a mode needs.
func (m Mode) programs() Set {
	switch m {
	case WithKWOK:
		return ControlPlanePrograms | KWOKPrograms
	case WithNode:
		return ControlPlanePrograms | NodePrograms
	default:
		return ControlPlanePrograms
	}
}
