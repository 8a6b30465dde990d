// Package options declares the manager's flags: their names, groups, units, defaults
// and limits. It validates all of them at once. It builds nothing from them;
// cmd/manager does that. It must not import controllers or webhooks.
package options

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	cliflag "k8s.io/component-base/cli/flag"

	"github.com/job-handler/job-handler/internal/api"
)

// Options is what the flags set. New returns the defaults.
type Options struct {
	Manager   Manager
	Webhook   Webhook
	Jobs      Jobs
	Retention Retention
	Limits    Limits
}

// Manager is where the process runs and what it serves besides the webhook.
type Manager struct {
	// Namespace is the manager's own: its lease is there, and Jobs in it are
	// not handled.
	Namespace string
	// ExcludedNamespaces are left alone, besides kube-system and Namespace.
	ExcludedNamespaces []string
	Kubeconfig         string
	LeaderElect        bool
	// MetricsAddress and HealthAddress are host:port; "0" turns them off.
	MetricsAddress, HealthAddress string
	// PprofAddress is host:port of the loopback device; empty turns it off.
	PprofAddress string
	LogLevel     int8
	LogFormat    string
}

// Webhook is where admission requests arrive.
type Webhook struct {
	Enabled bool
	Host    string
	Port    int
	CertDir string
	// Certificate is the namespace/name of cert-manager's Certificate from which
	// what is in CertDir comes; empty if it comes from elsewhere.
	Certificate string
	// SelfTestInterval is the time between tests of whether Jobs are stamped; 0
	// turns them off.
	SelfTestInterval time.Duration
	// ShutdownDelay is how long requests are taken after the rest has ended.
	ShutdownDelay time.Duration
}

// Jobs is how Jobs are handled where neither they nor their Namespace say.
type Jobs struct {
	LogMode            string
	ResultsTTL         string
	DeleteAfterSuccess string
	DeleteAfterFailure string
	// PropagatableLabels are the label keys that propagate-labels may name; a
	// trailing * stands for any rest.
	PropagatableLabels []string
	// LeftAloneLabels and LeftAloneAnnotations mark Jobs that are stored and not
	// deleted, as key or key=value.
	LeftAloneLabels, LeftAloneAnnotations []string
	TTLFloor                              time.Duration
	RecheckInterval                       time.Duration
	ScanInterval                          time.Duration
	LogDeadline                           time.Duration
	// Protect has a finalizer hold Jobs until their results are stored;
	// ProtectDeadline is for how long it may hold up the deletion of one.
	Protect         bool
	ProtectDeadline time.Duration
	// RedactBuiltin replaces well-known forms of credentials in what is stored,
	// Redact what matches these patterns.
	RedactBuiltin bool
	Redact        []string
}

// Limits bounds what the manager takes for itself and from the API server.
type Limits struct {
	// Workers is the number of Jobs looked at at the same time: with the defaults
	// as many as have memory for a short log at the same time.
	Workers int
	// LogStreams is the number of log reads open at the same time.
	LogStreams int
	// LogMemory bounds the log text in memory, in all Jobs together.
	LogMemory resource.QuantityValue
	// CaptureStreams is the number of logs of pods that are deleted before their Job is
	// stored that are followed at the same time.
	CaptureStreams int
	// FollowStreams is the number of logs of running pods that are followed at the
	// same time.
	FollowStreams int
	// CaptureMemory bounds what logs that are followed, and those of pods that are
	// deleted before their Job is stored, take in memory.
	CaptureMemory resource.QuantityValue
	// MaxResultsSize bounds what the results of one run take, parts included. A
	// kubelet keeps 10 MiB of a log: most that compress are whole within 4 MiB.
	MaxResultsSize resource.QuantityValue
	// Writes is the number of writing requests in flight at the same time.
	Writes         int
	LogIdleTimeout time.Duration
}

// New returns the defaults. The namespace is read from POD_NAMESPACE.
func New() *Options {
	namespace := os.Getenv("POD_NAMESPACE")
	if namespace == "" {
		namespace = api.ManagerNamespace
	}
	return &Options{
		Manager: Manager{
			Namespace: namespace, MetricsAddress: "127.0.0.1:8080", HealthAddress: ":8081",
			LogFormat: logFormatJSON,
		},
		Webhook: Webhook{
			Enabled: true, Port: 9443, CertDir: "/var/run/job-handler/certs", SelfTestInterval: time.Minute,
		},
		Jobs: Jobs{
			LogMode: api.LogModeFull, ResultsTTL: api.Never,
			DeleteAfterSuccess: "0s", DeleteAfterFailure: api.Never,
			TTLFloor: time.Hour, RecheckInterval: 30 * time.Second,
			ScanInterval: 5 * time.Minute, LogDeadline: 15 * time.Minute,
			ProtectDeadline: time.Hour, RedactBuiltin: true,
		},
		Retention: newRetention(),
		Limits: Limits{
			Workers: 96, LogStreams: 128, CaptureStreams: 512, FollowStreams: 256, Writes: 32,
			MaxResultsSize: resource.QuantityValue{Quantity: resource.MustParse("4Mi")},
			LogMemory:      resource.QuantityValue{Quantity: resource.MustParse("128Mi")},
			CaptureMemory:  resource.QuantityValue{Quantity: resource.MustParse("64Mi")},
			LogIdleTimeout: 15 * time.Second,
		},
	}
}

// Flags returns the flags in the groups in which --help shows them.
func (o *Options) Flags() cliflag.NamedFlagSets {
	var sets cliflag.NamedFlagSets
	o.Manager.addFlags(sets.FlagSet("Manager"))
	o.Webhook.addFlags(sets.FlagSet("Webhook"))
	o.Jobs.addFlags(sets.FlagSet("Jobs"))
	o.Retention.addFlags(sets.FlagSet("Retention"))
	o.Limits.addFlags(sets.FlagSet("Limits"))
	return sets
}

// Excluded returns every namespace whose Jobs are not handled.
func (o *Options) Excluded() []string {
	return append([]string{"kube-system", o.Manager.Namespace}, o.Manager.ExcludedNamespaces...)
}

// CertificateName returns the Certificate that is watched, or none. It is
// right if Validate found nothing.
func (w Webhook) CertificateName() types.NamespacedName {
	namespace, name, _ := strings.Cut(w.Certificate, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// SecureMetrics reports whether metrics are served to more than this machine:
// then over TLS, and to those only who may read them.
func (m Manager) SecureMetrics() bool {
	return m.MetricsAddress != off && !isLoopback(m.MetricsAddress)
}

// LogMemoryBytes returns LogMemory in bytes.
func (l Limits) LogMemoryBytes() int64 {
	return l.LogMemory.Value()
}

// CaptureMemoryBytes returns CaptureMemory in bytes.
func (l Limits) CaptureMemoryBytes() int {
	return int(min(l.CaptureMemory.Value(), math.MaxInt))
}

// MaxResultsBytes returns MaxResultsSize in bytes. It is right if Validate found
// nothing.
func (l Limits) MaxResultsBytes() int {
	return int(l.MaxResultsSize.Value())
}

func invalid(flag string, value any, allowed string) error {
	return fmt.Errorf("--%s: invalid value %q: must be %s", flag, fmt.Sprint(value), allowed)
}

// TextLogs reports whether log lines are for people rather than programs.
func (o *Options) TextLogs() bool {
	return o.Manager.LogFormat == logFormatText
}
