package options

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each bad flag alone, with all that people get to read about it.
func TestValidateRefuses(t *testing.T) {
	const delay = "must be never or a duration like 1d12h (s m h d w, max 2147483647s)"
	const pattern = "must be a label key, or the start of one followed by *"
	const mark = "must be key or key=value, where key is a label or annotation key that does not start with job-handler/"
	long := strings.Repeat("a", 64)
	for arg, want := range map[string]string{
		"--namespace=":                   `--namespace: invalid value "": must be the name of a namespace`,
		"--namespace=My.Namespace":       `--namespace: invalid value "My.Namespace": must be the name of a namespace`,
		"--namespace=" + long:            `--namespace: invalid value "` + long + `": must be the name of a namespace`,
		"--exclude-namespaces=a,B":       `--exclude-namespaces: invalid value "B": must be the names of namespaces`,
		"--exclude-namespaces=team-*":    `--exclude-namespaces: invalid value "team-*": must be the names of namespaces`,
		"--log-format=xml":               `--log-format: invalid value "xml": must be json or text`,
		"--log-format=":                  `--log-format: invalid value "": must be json or text`,
		"--v=-1":                         `--v: invalid value "-1": must be between 0 and 7`,
		"--v=8":                          `--v: invalid value "8": must be between 0 and 7`,
		"--metrics-bind-address=":        `--metrics-bind-address: invalid value "": must be host:port, or 0 to turn it off`,
		"--metrics-bind-address=8080":    `--metrics-bind-address: invalid value "8080": must be host:port, or 0 to turn it off`,
		"--metrics-bind-address=a:b:1":   `--metrics-bind-address: invalid value "a:b:1": must be host:port, or 0 to turn it off`,
		"--metrics-bind-address=:x":      `--metrics-bind-address: invalid value ":x": must be host:port, or 0 to turn it off`,
		"--metrics-bind-address=:65536":  `--metrics-bind-address: invalid value ":65536": must be host:port, or 0 to turn it off`,
		"--metrics-bind-address=:-1":     `--metrics-bind-address: invalid value ":-1": must be host:port, or 0 to turn it off`,
		"--health-probe-bind-address=no": `--health-probe-bind-address: invalid value "no": must be host:port, or 0 to turn it off`,

		"--pprof-bind-address=:6060":          `--pprof-bind-address: invalid value ":6060": must be host:port with a loopback address as host, or empty`,
		"--pprof-bind-address=10.0.0.1:6060":  `--pprof-bind-address: invalid value "10.0.0.1:6060": must be host:port with a loopback address as host, or empty`,
		"--pprof-bind-address=0":              `--pprof-bind-address: invalid value "0": must be host:port with a loopback address as host, or empty`,
		"--pprof-bind-address=127.0.0.1:none": `--pprof-bind-address: invalid value "127.0.0.1:none": must be host:port with a loopback address as host, or empty`,

		"--webhook-shutdown-delay=-1s": `--webhook-shutdown-delay: invalid value "-1s": must be at least 0s`,

		"--self-test-interval=999ms": `--self-test-interval: invalid value "999ms": must be at least 1s, or 0 to turn it off`,
		"--self-test-interval=-1m":   `--self-test-interval: invalid value "-1m0s": must be at least 1s, or 0 to turn it off`,

		"--webhook-port=0":              `--webhook-port: invalid value "0": must be between 1 and 65535`,
		"--webhook-port=65536":          `--webhook-port: invalid value "65536": must be between 1 and 65535`,
		"--webhook-cert-dir=":           `--webhook-cert-dir: invalid value "": must be a folder with tls.crt and tls.key; --webhook=false turns the webhook off`,
		"--webhook-certificate=serving": `--webhook-certificate: invalid value "serving": must be namespace/name of a Certificate, or empty`,
		"--webhook-certificate=a/b/c":   `--webhook-certificate: invalid value "a/b/c": must be namespace/name of a Certificate, or empty`,
		"--webhook-certificate=/b":      `--webhook-certificate: invalid value "/b": must be namespace/name of a Certificate, or empty`,

		"--log-mode=":                            `--log-mode: invalid value "": must be full, follow or status`,
		"--log-mode=Full":                        `--log-mode: invalid value "Full": must be full, follow or status`,
		"--results-ttl=forever":                  `--results-ttl: invalid value "forever": ` + delay,
		"--results-ttl=":                         `--results-ttl: invalid value "": ` + delay,
		"--delete-after-success=1.5h":            `--delete-after-success: invalid value "1.5h": ` + delay,
		"--delete-after-failure=-1s":             `--delete-after-failure: invalid value "-1s": ` + delay,
		"--propagatable-labels=*app":             `--propagatable-labels: invalid value "*app": ` + pattern,
		"--propagatable-labels=app,a b,c":        `--propagatable-labels: invalid value "a b": ` + pattern,
		"--left-alone-labels=a b,owner=x":        `--left-alone-labels: invalid value "a b": ` + mark,
		"--left-alone-labels=owner=a/b":          `--left-alone-labels: invalid value "owner=a/b": must have a valid label value after the =`,
		"--left-alone-annotations=job-handler/x": `--left-alone-annotations: invalid value "job-handler/x": ` + mark,
		"--ttl-floor=59s":                        `--ttl-floor: invalid value "59s": must be at least 5m0s`,
		"--ttl-floor=-1h":                        `--ttl-floor: invalid value "-1h0m0s": must be at least 5m0s`,
		"--ttl-floor=2147483648s":                `--ttl-floor: invalid value "596523h14m8s": must be at most 596523h14m7s`,
		"--recheck-interval=-1ns":                `--recheck-interval: invalid value "-1ns": must be at least 0s`,
		"--scan-interval=-1s":                    `--scan-interval: invalid value "-1s": must be at least 0s`,
		"--log-deadline=-1s":                     `--log-deadline: invalid value "-1s": must be at least 0s`,
		"--protect-deadline=0":                   `--protect-deadline: invalid value "0s": must be at least 1s`,
		"--protect-deadline=-1h":                 `--protect-deadline: invalid value "-1h0m0s": must be at least 1s`,
		"--redact=(":                             "--redact: invalid value \"(\": must be a pattern in RE2 syntax: error parsing regexp: missing closing ): `(`",
		"--redact=x*":                            `--redact: invalid value "x*": must not match the empty text, which is everywhere`,

		"--retention-interval=59s":                  `--retention-interval: invalid value "59s": must be at least 1m, or 0 to turn retention off`,
		"--retention-interval=-1h":                  `--retention-interval: invalid value "-1h0m0s": must be at least 1m, or 0 to turn retention off`,
		"--keep-completed-results-per-cronjob=-1":   `--keep-completed-results-per-cronjob: invalid value "-1": must be between 0 and 100000`,
		"--keep-failed-results-per-cronjob=100001":  `--keep-failed-results-per-cronjob: invalid value "100001": must be between 0 and 100000`,
		"--max-results-bytes-per-namespace=1048575": `--max-results-bytes-per-namespace: invalid value "1048575": must be at least 1Mi, or 0 for no bound`,
		"--max-results-bytes=1048575":               `--max-results-bytes: invalid value "1048575": must be at least 1Mi, or 0 for no bound`,
		"--max-results-bytes-per-namespace=-1Gi":    `--max-results-bytes-per-namespace: invalid value "-1Gi": must be at least 1Mi, or 0 for no bound`,

		"--workers=0":                 `--workers: invalid value "0": must be between 1 and 10000`,
		"--workers=10001":             `--workers: invalid value "10001": must be between 1 and 10000`,
		"--log-streams=-1":            `--log-streams: invalid value "-1": must be between 1 and 10000`,
		"--capture-streams=0":         `--capture-streams: invalid value "0": must be between 1 and 10000`,
		"--follow-streams=0":          `--follow-streams: invalid value "0": must be between 1 and 10000`,
		"--follow-streams=10001":      `--follow-streams: invalid value "10001": must be between 1 and 10000`,
		"--log-streams=10001":         `--log-streams: invalid value "10001": must be between 1 and 10000`,
		"--writes=0":                  `--writes: invalid value "0": must be between 1 and 10000`,
		"--writes=10001":              `--writes: invalid value "10001": must be between 1 and 10000`,
		"--log-memory=8191Ki":         `--log-memory: invalid value "8191Ki": must be at least 8Mi`,
		"--log-memory=-1Gi":           `--log-memory: invalid value "-1Gi": must be at least 8Mi`,
		"--max-results-size=32767":    `--max-results-size: invalid value "32767": must be between 32Ki and 16Mi`,
		"--max-results-size=16777217": `--max-results-size: invalid value "16777217": must be between 32Ki and 16Mi`,
		"--max-results-size=-1":       `--max-results-size: invalid value "-1": must be between 32Ki and 16Mi`,
		"--max-results-size=1Gi":      `--max-results-size: invalid value "1Gi": must be between 32Ki and 16Mi`,

		"--capture-memory=8191Ki":  `--capture-memory: invalid value "8191Ki": must be at least 8Mi`,
		"--capture-memory=-1Gi":    `--capture-memory: invalid value "-1Gi": must be at least 8Mi`,
		"--log-idle-timeout=999ms": `--log-idle-timeout: invalid value "999ms": must be at least 1s`,
	} {
		t.Run(arg, func(t *testing.T) {
			err := parse(t, arg).Validate()
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What cannot even be parsed is refused with the flag's name too.
func TestParseRefuses(t *testing.T) {
	for arg, flag := range map[string]string{
		"--workers=many": "--workers", "--ttl-floor=1d": "--ttl-floor", "--log-memory=lots": "--log-memory",
		"--webhook=maybe": "--webhook", "--v=x": "--v", "--unheard-of=1": "--unheard-of",
	} {
		t.Run(arg, func(t *testing.T) {
			if err := flagSet(New()).Parse([]string{arg}); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("got %v, want an error about %s", err, flag)
			}
		})
	}
}

// The last value that is good, on both sides of every limit.
func TestValidateAccepts(t *testing.T) {
	for _, args := range []string{
		"--v=7", "--v=0", "--log-format=text",
		"--namespace=" + strings.Repeat("a", 63),
		"--metrics-bind-address=0 --health-probe-bind-address=0",
		"--metrics-bind-address=[::1]:65535 --health-probe-bind-address=localhost:0",
		"--pprof-bind-address=", "--pprof-bind-address=127.0.0.1:6060", "--pprof-bind-address=[::1]:0", "--pprof-bind-address=localhost:1",
		"--webhook-shutdown-delay=0", "--self-test-interval=0", "--self-test-interval=1s",
		"--webhook-port=1", "--webhook-port=65535",
		"--webhook=false --webhook-port=0 --webhook-cert-dir=",
		"--log-mode=status", "--log-mode=full", "--log-mode=follow",
		"--results-ttl=0s", "--results-ttl=2147483647s", "--delete-after-success=never --delete-after-failure=0",
		"--propagatable-labels=*", "--propagatable-labels=app,example.com/*",
		"--ttl-floor=5m", "--ttl-floor=2147483647s",
		"--recheck-interval=0", "--scan-interval=0", "--log-deadline=0",
		"--retention-interval=0", "--retention-interval=1m", "--keep-completed-results-per-cronjob=0 --keep-failed-results-per-cronjob=100000",
		"--max-results-bytes-per-namespace=0", "--max-results-bytes-per-namespace=1Mi", "--max-results-bytes-per-namespace=1Ti",
		"--max-results-bytes=0", "--max-results-bytes=1Mi --max-results-bytes-per-namespace=1Ti",
		"--workers=1", "--workers=10000", "--log-streams=1", "--log-streams=10000", "--capture-streams=1", "--capture-streams=10000", "--follow-streams=1", "--follow-streams=10000", "--writes=1", "--writes=10000",
		"--max-results-size=32Ki", "--max-results-size=16Mi", "--max-results-size=16Mi --log-memory=64Mi",
		"--log-memory=8Mi --max-results-size=2Mi", "--log-memory=8388608 --max-results-size=2Mi", "--capture-memory=8Mi", "--log-idle-timeout=1s",
	} {
		t.Run(args, func(t *testing.T) {
			if err := parse(t, strings.Fields(args)...).Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMemoryForResults(t *testing.T) {
	err := parse(t, "--max-results-size=16Mi", "--log-memory=65535Ki").Validate()
	if want := `--log-memory: invalid value "65535Ki": must be at least 4 times --max-results-size`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// All that is wrong is told at once, a line each, in the order of --help.
func TestValidateTellsEverything(t *testing.T) {
	err := parse(t,
		"--writes=0", "--namespace=", "--log-mode=x", "--ttl-floor=1s", "--webhook-port=0", "--exclude-namespaces=A,B",
		"--results-ttl=x", "--delete-after-success=y", "--delete-after-failure=z", "--log-deadline=-1s", "--propagatable-labels=*a,*b",
		"--webhook-cert-dir=", "--log-idle-timeout=0", "--log-memory=0", "--capture-memory=0", "--workers=0", "--log-format=x", "--v=99",
		"--health-probe-bind-address=x", "--metrics-bind-address=y",
		"--retention-interval=1s", "--keep-completed-results-per-cronjob=-1", "--keep-failed-results-per-cronjob=-1", "--max-results-bytes-per-namespace=1", "--max-results-bytes=1",
	).Validate()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	want := []string{
		"namespace", "exclude-namespaces", "exclude-namespaces", "metrics-bind-address", "health-probe-bind-address", "log-format", "v",
		"webhook-port", "webhook-cert-dir",
		"log-mode", "results-ttl", "delete-after-success", "delete-after-failure", "propagatable-labels", "propagatable-labels",
		"ttl-floor", "log-deadline",
		"retention-interval", "keep-completed-results-per-cronjob", "keep-failed-results-per-cronjob", "max-results-bytes-per-namespace", "max-results-bytes",
		"workers", "writes", "log-memory", "capture-memory", "log-idle-timeout",
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		flag, _, _ := strings.Cut(line, ":")
		got = append(got, strings.TrimPrefix(flag, "--"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
