package options

import (
	"io"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/job-handler/job-handler/internal/policy"
)

// FuzzFlags holds that flags are refused or within their limits.
func FuzzFlags(f *testing.F) {
	f.Add("workers", "64", "v", "8")
	f.Add("delete-after-success", "-1s", "propagatable-labels", "*,job-handler/*,\x00")
	f.Add("log-memory", "9223372036854775807", "max-results-size", "1e18")
	f.Add("redact", "(", "ttl-floor", "600000h")
	f.Fuzz(func(t *testing.T, first, firstValue, second, secondValue string) {
		opts := New()
		flags := flagSet(opts)
		flags.Init("job-handler", pflag.ContinueOnError)
		flags.SetOutput(io.Discard)
		if flags.Set(first, firstValue) != nil || flags.Set(second, secondValue) != nil || opts.Validate() != nil {
			return
		}
		defaults, err := opts.Defaults()
		if err != nil {
			t.Fatalf("valid, but: %v", err)
		}
		for _, delay := range []*policy.Delay{defaults.ResultsTTL, defaults.DeleteAfterSuccess, defaults.DeleteAfterFailure} {
			if delay == nil || delay.After < 0 || delay.After > policy.LongestDelay {
				t.Fatalf("%v", delay)
			}
		}
		l := &opts.Limits
		if l.Workers < 1 || l.LogStreams < 1 || l.Writes < 1 || l.MaxResultsBytes() < 1 || l.CaptureMemoryBytes() < 1 ||
			l.LogMemoryBytes() < int64(l.MaxResultsBytes()) || opts.Jobs.TTLFloor < time.Minute || opts.Manager.LogLevel > mostVerbose {
			t.Fatalf("%+v", opts)
		}
	})
}
