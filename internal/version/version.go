// Package version tells which build this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is set by the linker; a build without it says so.
var Version = "v0.0.0-dev"

// String returns the version, the commit if the build knows it, the Go release
// and the platform, on one line.
func String() string {
	info, _ := debug.ReadBuildInfo()
	return fmt.Sprintf("%s%s %s %s/%s", Version, commit(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func commit(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return " " + setting.Value
		}
	}
	return ""
}
