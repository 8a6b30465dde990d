package options

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	maxConcurrency = 10_000
	minLogMemory   = 8 << 20
	// memoryForResults is how many times the results of one run have to fit into
	// the memory for logs.
	memoryForResults = 4

	// mostVerbose is the last level at which client-go logs no bodies of requests
	// and answers: from 8 on the manager's log would hold what Jobs log.
	mostVerbose = 7

	// off is the address of a server that is turned off.
	off = "0"
)

// Validate returns every flag that is out of its limits in one error, a line
// for each, naming flag, value and what is allowed.
func (o *Options) Validate() error {
	_, err := o.Defaults()
	_, patterns := o.Redaction()
	return errors.Join(o.Manager.validate(), o.Webhook.validate(), err, o.Jobs.validate(), patterns, o.Retention.validate(), o.Limits.validate())
}

// Redaction returns what the flags set to be replaced in what is stored.
func (o *Options) Redaction() (*redact.Set, error) {
	set, err := redact.New(o.Jobs.RedactBuiltin, o.Jobs.Redact)
	if err != nil {
		return nil, fmt.Errorf("--redact: %s", strings.ReplaceAll(err.Error(), "\n", "\n--redact: "))
	}
	return set, nil
}

// Defaults returns what the flags set for Jobs as the policy's defaults.
func (o *Options) Defaults() (policy.Defaults, error) {
	defaults := policy.Defaults{LogMode: o.Jobs.LogMode, PropagatableLabels: o.Jobs.PropagatableLabels, Protect: o.Jobs.Protect}
	var errs []error
	if !slices.Contains(policy.LogModes, o.Jobs.LogMode) {
		errs = append(errs, invalid("log-mode", o.Jobs.LogMode, "full, follow or status"))
	}
	for _, delay := range []struct {
		flag, value string
		into        **policy.Delay
	}{
		{"results-ttl", o.Jobs.ResultsTTL, &defaults.ResultsTTL},
		{"delete-after-success", o.Jobs.DeleteAfterSuccess, &defaults.DeleteAfterSuccess},
		{"delete-after-failure", o.Jobs.DeleteAfterFailure, &defaults.DeleteAfterFailure},
	} {
		parsed, err := policy.ParseDelay(delay.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: invalid value %q: %w", delay.flag, delay.value, err))
		}
		*delay.into = &parsed
	}
	for _, pattern := range o.Jobs.PropagatableLabels {
		if err := policy.ValidatePropagatable(pattern); err != nil {
			errs = append(errs, fmt.Errorf("--propagatable-labels: invalid value %q: %w", pattern, err))
		}
	}
	leftAlone, err := o.Jobs.leftAlone()
	defaults.LeftAlone = leftAlone
	return defaults, errors.Join(append(errs, err)...)
}

// leftAlone returns the marks of Jobs that are left alone, and what is wrong with the
// others.
func (j *Jobs) leftAlone() (policy.LeftAlone, error) {
	var marks policy.LeftAlone
	var errs []error
	for _, list := range []struct {
		flag   string
		values []string
		parse  func(string) (policy.Mark, error)
		into   *[]policy.Mark
	}{
		{"left-alone-labels", j.LeftAloneLabels, policy.ParseLabelMark, &marks.Labels},
		{"left-alone-annotations", j.LeftAloneAnnotations, policy.ParseAnnotationMark, &marks.Annotations},
	} {
		for _, value := range list.values {
			mark, err := list.parse(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("--%s: invalid value %q: %w", list.flag, value, err))
				continue
			}
			*list.into = append(*list.into, mark)
		}
	}
	return marks, errors.Join(errs...)
}

func (m *Manager) validate() error {
	var errs []error
	if !isNamespace(m.Namespace) {
		errs = append(errs, invalid("namespace", m.Namespace, "the name of a namespace"))
	}
	for _, namespace := range m.ExcludedNamespaces {
		if !isNamespace(namespace) {
			errs = append(errs, invalid("exclude-namespaces", namespace, "the names of namespaces"))
		}
	}
	errs = append(errs, m.validateAddresses()...)
	if m.LogFormat != logFormatJSON && m.LogFormat != logFormatText {
		errs = append(errs, invalid("log-format", m.LogFormat, "json or text"))
	}
	if m.LogLevel < 0 || m.LogLevel > mostVerbose {
		errs = append(errs, invalid("v", m.LogLevel, "between 0 and 7"))
	}
	return errors.Join(errs...)
}

func (m *Manager) validateAddresses() []error {
	var errs []error
	for _, address := range []struct{ flag, value string }{
		{"metrics-bind-address", m.MetricsAddress}, {"health-probe-bind-address", m.HealthAddress},
	} {
		if !isAddress(address.value) {
			errs = append(errs, invalid(address.flag, address.value, "host:port, or 0 to turn it off"))
		}
	}
	if m.PprofAddress != "" && (!isAddress(m.PprofAddress) || !isLoopback(m.PprofAddress)) {
		errs = append(errs, invalid("pprof-bind-address", m.PprofAddress, "host:port with a loopback address as host, or empty"))
	}
	return errs
}

func isNamespace(name string) bool {
	return len(validation.IsDNS1123Label(name)) == 0
}

// isAddress also takes the 0 that turns a server off.
func isAddress(address string) bool {
	if address == off {
		return true
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback is true only of what cannot be reached from elsewhere whatever
// resolves names.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (w *Webhook) validate() error {
	if !w.Enabled {
		return nil
	}
	var errs []error
	if w.Port < 1 || w.Port > 65535 {
		errs = append(errs, invalid("webhook-port", w.Port, "between 1 and 65535"))
	}
	if w.CertDir == "" {
		errs = append(errs, invalid("webhook-cert-dir", w.CertDir, "a folder with tls.crt and tls.key; --webhook=false turns the webhook off"))
	}
	if w.Certificate != "" && !isCertificate(w.CertificateName()) {
		errs = append(errs, invalid("webhook-certificate", w.Certificate, "namespace/name of a Certificate, or empty"))
	}
	if w.ShutdownDelay < 0 {
		errs = append(errs, invalid("webhook-shutdown-delay", w.ShutdownDelay, "at least 0s"))
	}
	if w.SelfTestInterval != 0 && w.SelfTestInterval < time.Second {
		errs = append(errs, invalid("self-test-interval", w.SelfTestInterval, "at least 1s, or 0 to turn it off"))
	}
	return errors.Join(errs...)
}

func isCertificate(name types.NamespacedName) bool {
	return isNamespace(name.Namespace) && len(validation.IsDNS1123Subdomain(name.Name)) == 0
}

func (j *Jobs) validate() error {
	var errs []error
	for _, duration := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{
		{"ttl-floor", j.TTLFloor, 5 * time.Minute},
		{"recheck-interval", j.RecheckInterval, 0},
		{"scan-interval", j.ScanInterval, 0},
		{"log-deadline", j.LogDeadline, 0},
		{"protect-deadline", j.ProtectDeadline, time.Second},
	} {
		if duration.value < duration.least {
			errs = append(errs, invalid(duration.flag, duration.value, "at least "+duration.least.String()))
		}
	}
	if j.TTLFloor > policy.LongestDelay {
		errs = append(errs, invalid("ttl-floor", j.TTLFloor, "at most "+policy.LongestDelay.String()))
	}
	return errors.Join(errs...)
}

func (l *Limits) validate() error {
	var errs []error
	for _, count := range []struct {
		flag  string
		value int
	}{{"workers", l.Workers}, {"log-streams", l.LogStreams}, {"capture-streams", l.CaptureStreams}, {"follow-streams", l.FollowStreams}, {"writes", l.Writes}} {
		if count.value < 1 || count.value > maxConcurrency {
			errs = append(errs, invalid(count.flag, count.value, "between 1 and 10000"))
		}
	}
	size := l.MaxResultsSize.Value()
	if size < results.MinBytes || size > api.MostResultsBytes {
		errs = append(errs, invalid("max-results-size", l.MaxResultsSize.String(), "between 32Ki and 16Mi"))
		size = 0
	}
	switch {
	case l.LogMemoryBytes() < minLogMemory:
		errs = append(errs, invalid("log-memory", l.LogMemory.String(), "at least 8Mi"))
	case l.LogMemoryBytes() < memoryForResults*size:
		errs = append(errs, invalid("log-memory", l.LogMemory.String(), "at least 4 times --max-results-size"))
	}
	if l.CaptureMemoryBytes() < minLogMemory {
		errs = append(errs, invalid("capture-memory", l.CaptureMemory.String(), "at least 8Mi"))
	}
	if l.LogIdleTimeout < time.Second {
		errs = append(errs, invalid("log-idle-timeout", l.LogIdleTimeout, "at least 1s"))
	}
	return errors.Join(errs...)
}
