package version

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	linked := Version
	t.Cleanup(func() { Version = linked })
	for name, version := range map[string]string{
		"as built here":     linked,
		"set by the linker": "v1.2.3",
	} {
		t.Run(name, func(t *testing.T) {
			Version = version
			got := String()
			// The commit is there only where the build knows it.
			pattern := "^" + regexp.QuoteMeta(version) + "( [0-9a-f]{40})? " +
				regexp.QuoteMeta(runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH) + "$"
			if !regexp.MustCompile(pattern).MatchString(got) {
				t.Errorf("%q does not match %s", got, pattern)
			}
		})
	}
}

func TestCommit(t *testing.T) {
	const revision = "1b9d6bcdbbfd4b2d9b5dab8dfbbd4bed1b9d6bcd"
	settings := func(settings ...debug.BuildSetting) *debug.BuildInfo { return &debug.BuildInfo{Settings: settings} }
	for name, test := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"a program without build information": {nil, ""},
		"built outside a repository":          {settings(debug.BuildSetting{Key: "vcs", Value: "git"}), ""},
		"built in a repository": {
			settings(debug.BuildSetting{Key: "vcs", Value: "git"}, debug.BuildSetting{Key: "vcs.revision", Value: revision},
				debug.BuildSetting{Key: "vcs.time", Value: "2026-11-03T10:00:00Z"}), " " + revision,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := commit(test.info); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnlinkedVersionSaysSo(t *testing.T) {
	if !strings.HasPrefix(Version, "v") || !strings.HasSuffix(Version, "-dev") {
		t.Errorf("a test binary calls itself %q", Version)
	}
}
