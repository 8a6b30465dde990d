package options

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/retain"
)

// parse returns the options that args set, as cmd/manager parses them.
func parse(t *testing.T, args ...string) *Options {
	t.Helper()
	opts := New()
	if err := flagSet(opts).Parse(args); err != nil {
		t.Fatal(err)
	}
	return opts
}

func flagSet(opts *Options) *pflag.FlagSet {
	all := pflag.NewFlagSet("job-handler", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		all.AddFlagSet(set)
	}
	return all
}

func TestDefaultsAreValid(t *testing.T) {
	opts := parse(t)
	if err := opts.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := opts.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Defaults{
		LogMode: api.LogModeFull, ResultsTTL: &policy.Delay{Never: true},
		DeleteAfterSuccess: &policy.Delay{}, DeleteAfterFailure: &policy.Delay{Never: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The defaults, spelt out: they are documented, and changing one changes what
// running clusters do.
func TestDefaultValues(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	want := map[string]string{
		"namespace": "job-handler-system", "exclude-namespaces": "[]", "kubeconfig": "", "leader-elect": "false",
		"metrics-bind-address": "127.0.0.1:8080", "health-probe-bind-address": ":8081", "v": "0", "log-format": "json",
		"pprof-bind-address": "",
		"webhook":            "true", "webhook-host": "", "webhook-port": "9443", "webhook-cert-dir": "/var/run/job-handler/certs",
		"webhook-certificate": "", "self-test-interval": "1m0s", "webhook-shutdown-delay": "0s",
		"log-mode": "full", "results-ttl": "never", "delete-after-success": "0s", "delete-after-failure": "never",
		"propagatable-labels": "[]", "left-alone-labels": "[]", "left-alone-annotations": "[]", "ttl-floor": "1h0m0s", "recheck-interval": "30s", "scan-interval": "5m0s", "log-deadline": "15m0s",
		"protect": "false", "protect-deadline": "1h0m0s",
		"redact-builtin": "true", "redact": "[]",
		"retention-interval": "1h0m0s", "keep-completed-results-per-cronjob": "0", "keep-failed-results-per-cronjob": "0",
		"max-results-bytes-per-namespace": "256Mi", "max-results-bytes": "1Gi",
		"workers": "96", "log-streams": "128", "capture-streams": "512", "follow-streams": "256", "log-memory": "128Mi", "capture-memory": "64Mi", "max-results-size": "4Mi", "writes": "32", "log-idle-timeout": "15s",
	}
	got := map[string]string{}
	flagSet(New()).VisitAll(func(f *pflag.Flag) { got[f.Name] = f.DefValue })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFlagsSetOptions(t *testing.T) {
	args := []string{
		"--namespace=ns", "--exclude-namespaces=a,b", "--exclude-namespaces=c", "--kubeconfig=/k", "--leader-elect",
		"--metrics-bind-address=:1", "--health-probe-bind-address=0", "-v=1", "--log-format=text",
		"--pprof-bind-address=localhost:6", "--self-test-interval=9s", "--webhook-shutdown-delay=4s",
		"--webhook=false", "--webhook-host=::1", "--webhook-port=2", "--webhook-cert-dir=/c", "--webhook-certificate=ns/serving",
		"--log-mode=status", "--results-ttl=4w", "--delete-after-success=1d12h", "--delete-after-failure=2w",
		"--propagatable-labels=app,team.example.com/*", "--left-alone-labels=kept,owner=x", "--left-alone-annotations=example.com/source", "--ttl-floor=2h", "--recheck-interval=0", "--scan-interval=1m", "--log-deadline=3m",
		"--protect", "--protect-deadline=2m",
		"--redact-builtin=false", `--redact=a{1,2}`, "--redact=b",
		"--retention-interval=2h", "--keep-completed-results-per-cronjob=3", "--keep-failed-results-per-cronjob=10",
		"--max-results-bytes-per-namespace=1Gi", "--max-results-bytes=0",
		"--workers=5", "--log-streams=6", "--capture-streams=11", "--follow-streams=9", "--log-memory=1Gi", "--capture-memory=2Gi", "--max-results-size=2Mi", "--writes=7", "--log-idle-timeout=8s",
	}
	opts := parse(t, args...)
	if err := opts.Validate(); err != nil {
		t.Fatal(err)
	}
	manager := Manager{
		Namespace: "ns", ExcludedNamespaces: []string{"a", "b", "c"}, Kubeconfig: "/k", LeaderElect: true,
		MetricsAddress: ":1", HealthAddress: "0", PprofAddress: "localhost:6", LogLevel: 1, LogFormat: "text",
	}
	jobs := Jobs{
		LogMode: "status", ResultsTTL: "4w", DeleteAfterSuccess: "1d12h", DeleteAfterFailure: "2w",
		PropagatableLabels: []string{"app", "team.example.com/*"},
		LeftAloneLabels:    []string{"kept", "owner=x"}, LeftAloneAnnotations: []string{"example.com/source"}, TTLFloor: 2 * time.Hour,
		ScanInterval: time.Minute, LogDeadline: 3 * time.Minute,
		Protect: true, ProtectDeadline: 2 * time.Minute, Redact: []string{"a{1,2}", "b"},
	}
	webhook := Webhook{Host: "::1", Port: 2, CertDir: "/c", Certificate: "ns/serving", SelfTestInterval: 9 * time.Second, ShutdownDelay: 4 * time.Second}
	if diff := cmp.Diff([]any{manager, webhook, jobs}, []any{opts.Manager, opts.Webhook, opts.Jobs}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := opts.Webhook.CertificateName(); got.Namespace != "ns" || got.Name != "serving" {
		t.Errorf("certificate = %v", got)
	}
	limits := []any{5, 6, 11, 9, int64(1 << 30), 2 << 30, 2 << 20, 7, 8 * time.Second}
	got := []any{
		opts.Limits.Workers, opts.Limits.LogStreams, opts.Limits.CaptureStreams, opts.Limits.FollowStreams, opts.Limits.LogMemoryBytes(), opts.Limits.CaptureMemoryBytes(),
		opts.Limits.MaxResultsBytes(), opts.Limits.Writes, opts.Limits.LogIdleTimeout,
	}
	if diff := cmp.Diff(limits, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	kept := []any{2 * time.Hour, 3, 10, retain.Budgets{Namespace: 1 << 30}, false}
	r := opts.Retention
	if diff := cmp.Diff(kept, []any{r.Interval, r.KeepCompleted, r.KeepFailed, r.Budgets(), r.Off()}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !opts.TextLogs() {
		t.Error("log lines are not for people")
	}
	const day = 24 * time.Hour
	defaults, err := opts.Defaults()
	want := policy.Defaults{
		LogMode: "status", ResultsTTL: &policy.Delay{After: 28 * day}, DeleteAfterSuccess: &policy.Delay{After: 36 * time.Hour},
		DeleteAfterFailure: &policy.Delay{After: 14 * day}, PropagatableLabels: []string{"app", "team.example.com/*"},
		Protect: true,
		LeftAlone: policy.LeftAlone{
			Labels: []policy.Mark{{Key: "kept"}, {Key: "owner", Value: new("x")}}, Annotations: []policy.Mark{{Key: "example.com/source"}},
		},
	}
	if diff := cmp.Diff(want, defaults); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestNamespaceFromEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		environment string
		args        []string
		want        string
	}{
		"nothing":              {"", nil, "job-handler-system"},
		"the environment":      {"from-env", nil, "from-env"},
		"a flag":               {"", []string{"--namespace=from-flag"}, "from-flag"},
		"a flag, which counts": {"from-env", []string{"--namespace=from-flag"}, "from-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", test.environment)
			if got := parse(t, test.args...).Manager.Namespace; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestExcluded(t *testing.T) {
	opts := parse(t, "--namespace=mine", "--exclude-namespaces=a,b")
	want := []string{"kube-system", "mine", "a", "b"}
	for range 2 {
		if diff := cmp.Diff(want, opts.Excluded()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestTextLogs(t *testing.T) {
	for format, want := range map[string]bool{"json": false, "text": true} {
		if got := parse(t, "--log-format="+format).TextLogs(); got != want {
			t.Errorf("%s: got %t", format, got)
		}
	}
}

// What people see: groups in order, each flag with its unit, and its default
// where that says something.
func TestHelp(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	sets := New().Flags()
	if diff := cmp.Diff([]string{"Manager", "Webhook", "Jobs", "Retention", "Limits"}, sets.Order); diff != "" {
		t.Errorf("groups: -want +got\n%s", diff)
	}
	var help bytes.Buffer
	cliflag.PrintSections(&help, sets, 0)
	for name, want := range map[string]string{
		"a group":      `(?m)^Manager flags:$`,
		"a namespace":  `(?m)^ +--namespace string +Namespace of the manager\. .*\(default "job-handler-system"\)$`,
		"a short flag": `(?m)^ +-v, --v level +Log level: `,
		"an address":   `(?m)^ +--metrics-bind-address string +host:port of the metrics; 0 turns them off\. .*\(default "127\.0\.0\.1:8080"\)$`,
		"a duration":   `(?m)^ +--ttl-floor duration .*\(default 1h0m0s\)$`,
		"a delay":      `(?m)^ +--delete-after-success string .*\(s m h d w\).*or never\. \(default "0s"\)$`,
		"a size":       `(?m)^ +--log-memory quantity .*in bytes \(Ki, Mi, Gi\)\. \(default 128Mi\)$`,
		"a list":       `(?m)^ +--redact pattern +Also replace text within a line that matches this pattern`,
		"a switch":     `(?m)^ +--webhook\S* +Answer admission requests\. .*\(default true\)$`,
		"a count":      `(?m)^ +--writes int +Write requests in flight concurrently\. \(default 32\)$`,
	} {
		t.Run(name, func(t *testing.T) {
			if !regexp.MustCompile(want).MatchString(help.String()) {
				t.Errorf("nothing matches %s in\n%s", want, help.String())
			}
		})
	}
}

func TestEveryFlagReadsWell(t *testing.T) {
	flagSet(New()).VisitAll(func(f *pflag.Flag) {
		t.Run(f.Name, func(t *testing.T) {
			first := f.Usage[:1]
			if strings.ToUpper(first) != first && !strings.HasPrefix(f.Usage, "host:port") {
				t.Errorf("%q does not start with a capital", f.Usage)
			}
			// Backquotes name the value; few want that.
			if !strings.HasSuffix(f.Usage, ".") || strings.Contains(f.Usage, "`") && f.Name != "v" && f.Name != "redact" {
				t.Errorf("%q is not a sentence", f.Usage)
			}
			switches := []string{"leader-elect", "protect", "redact-builtin", "webhook"}
			if f.Value.Type() == "bool" && !slices.Contains(switches, f.Name) {
				t.Errorf("a new switch: is it clear what it turns on?")
			}
		})
	})
}

func TestSecureMetrics(t *testing.T) {
	for address, want := range map[string]bool{
		"0": false, "127.0.0.1:8080": false, "127.9.9.9:1": false, "[::1]:8080": false, "localhost:8080": false,
		":8443": true, "0.0.0.0:8443": true, "[::]:8443": true, "10.0.0.1:8443": true, "localhost.example.com:8443": true,
	} {
		if got := (Manager{MetricsAddress: address}).SecureMetrics(); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}
