package localcluster

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBinary(t *testing.T) {
	for pkg, want := range map[string]string{
		"go.etcd.io/etcd/server/v3":                         "server",
		"k8s.io/kubernetes/cmd/kubelet":                     "kubelet",
		"github.com/containerd/containerd/v2/cmd/ctr":       "ctr",
		"github.com/containernetworking/plugins/ipam/vhost": "vhost",
	} {
		if got := (program{pkg: pkg}).binary(); got != want {
			t.Errorf("binary of %s = %s, want %s", pkg, got, want)
		}
	}
}

func TestLDFlags(t *testing.T) {
	m := module{versioned: "k8s.io/kubernetes"}
	const version = "k8s.io/component-base/version."
	for name, test := range map[string]struct{ goMod, want string }{
		"required": {
			goMod: "require k8s.io/kubernetes v1.37.2\n",
			want:  "-s -w -X " + version + "gitVersion=v1.37.2 -X " + version + "gitMajor=1 -X " + version + "gitMinor=37",
		},
		"a tool line is no version": {goMod: "tool k8s.io/kubernetes/cmd/kubelet\n", want: "-s -w"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, m.ldflags(test.goMod)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := (module{}).ldflags("k8s.io/kubernetes v1.37.2"); got != "-s -w" {
		t.Errorf("flags of a module without a version = %q", got)
	}
}

// Every program that is named here is pinned, and the other way round.
func TestProgramsArePinned(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(modules)
	for _, r := range releases {
		all = append(all, r.module())
	}
	for _, m := range all {
		goMod, err := os.ReadFile(filepath.Join(nestedModule(root, m.name), "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		var pinned, named []string
		for line := range strings.Lines(string(goMod)) {
			if line = strings.TrimSpace(strings.TrimPrefix(line, "tool ")); strings.Contains(line, "/") && !strings.Contains(line, " ") {
				pinned = append(pinned, line)
			}
		}
		for _, p := range m.programs {
			named = append(named, p.pkg)
		}
		sorted := cmp.Transformer("set", func(list []string) map[string]bool {
			set := map[string]bool{}
			for _, s := range list {
				set[s] = true
			}
			return set
		})
		if diff := cmp.Diff(pinned, named, sorted); diff != "" {
			t.Errorf("module %s: %s", m.name, diff)
		}
	}
}

func TestVersionOf(t *testing.T) {
	if versionOf([]byte("ab"), []byte("c")) == versionOf([]byte("a"), []byte("bc")) {
		t.Error("inputs run into each other")
	}
}

func TestBuildWatch(t *testing.T) {
	output := t.TempDir()
	var progress bytes.Buffer
	w := newBuildWatch("node", output, []program{{name: "ctr", pkg: "x/ctr"}, {name: "etcd", pkg: "x/server/v3"}}, reporter{&progress})
	w.total = 3
	for _, chunk := range []string{"go: downloading x v1", ".0.0\nk8s.io/api/co", "re/v1\nx/ctr\n", "# x/server\nmain.go:1:2: undefined: y\n"} {
		if _, err := io.WriteString(w, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(output, "server"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	w.announce()
	w.announce()
	if got := w.status(); !strings.HasPrefix(got, "node programs: 1 of 2 built, 2 of at most 3 packages compiled") {
		t.Errorf("status = %q", got)
	}
	if got := progress.String(); strings.Count(got, "built etcd after") != 1 || strings.Contains(got, "ctr") {
		t.Errorf("progress = %q", got)
	}
	if diff := cmp.Diff([]string{"# x/server", "main.go:1:2: undefined: y"}, w.tail); diff != "" {
		t.Error(diff)
	}
}

func TestBuildOfNothing(t *testing.T) {
	programs, err := Build(t.Context(), "", 0, nil)
	if err != nil || programs.Path(Etcd) != "" {
		t.Errorf("programs = %v, %v", programs, err)
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, "", AllPrograms, nil); err == nil {
		t.Error("a build goes on after its context ended")
	}
}
