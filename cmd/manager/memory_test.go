package main

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr/funcr"
)

func TestFollowMemoryLimit(t *testing.T) {
	const mebi = 1 << 20
	unknown := func() (uint64, error) { return 0, errors.New("no cgroup") }
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	for name, tc := range map[string]struct {
		env   string
		limit memlimit.Provider
		want  int64
		line  string
	}{
		"a limit":       {"", memlimit.Limit(1000 * mebi), 900 * mebi, `"level"=1 "msg"="the Go runtime has its share of the container's memory limit" "bytes"=943718400`},
		"no limit":      {"", none, math.MaxInt64, `"level"=1 "msg"="the Go runtime has no memory limit, since the container has none"`},
		"not known":     {"", unknown, 77 * mebi, `"level"=0 "msg"="the container's memory limit cannot be read; GOMEMLIMIT can tell it" "error"="failed to set GOMEMLIMIT: no cgroup"`},
		"set by a user": {"77MiB", memlimit.Limit(1000 * mebi), 77 * mebi, `"level"=1 "msg"="the Go runtime has the memory limit of GOMEMLIMIT" "bytes"=80740352`},
	} {
		t.Run(name, func(t *testing.T) {
			// What the runtime reads of the environment when it starts.
			before := debug.SetMemoryLimit(77 * mebi)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			t.Setenv("GOMEMLIMIT", tc.env)
			if tc.env == "" {
				if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
					t.Fatal(err)
				}
			}
			var lines []string
			log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{Verbosity: 1})

			followMemoryLimit(t.Context(), tc.limit, log)

			if got := debug.SetMemoryLimit(-1); got != tc.want {
				t.Errorf("the limit is %d, want %d", got, tc.want)
			}
			if got := strings.Join(lines, "\n"); got != tc.line {
				t.Errorf("logged %s\nwant   %s", got, tc.line)
			}
		})
	}
}
