package localcluster

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// namesOf returns the programs of modules that are of Kubernetes, each with the
// module that it is of.
func namesOf(chosen []module) map[string]string {
	names := map[string]string{}
	for _, m := range chosen {
		for _, p := range m.programs {
			if strings.HasPrefix(m.name, kubernetesModule) {
				names[p.name] = m.name
			}
		}
	}
	return names
}

func TestModulesOf(t *testing.T) {
	newest, err := newestMinor()
	if err != nil {
		t.Fatal(err)
	}
	everything := map[string]string{
		APIServer: "kubernetes", Etcd: "kubernetes", ControllerManager: "kubernetes", Scheduler: "kubernetes",
		"kubectl": "kubernetes", Kubelet: "kubernetes", Proxy: "kubernetes",
	}
	for name, test := range map[string]struct {
		minor string
		want  map[string]string
	}{
		"none":   {"", everything},
		"newest": {newest, everything},
		"older": {"1.30", map[string]string{
			APIServer: "kubernetes-1.30", ControllerManager: "kubernetes-1.30", Etcd: "kubernetes", "kubectl": "kubernetes",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := modulesOf(test.minor)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, namesOf(chosen)); diff != "" {
				t.Error(diff)
			}
			// What is not of Kubernetes is always there.
			if !slices.ContainsFunc(chosen, func(m module) bool { return m.name == "certmanager" }) {
				t.Error("cert-manager is not there")
			}
		})
	}
	for _, unknown := range []string{"1.29", "1.30.14", "v1.30", "1.99"} {
		if _, err := modulesOf(unknown); err == nil || !strings.Contains(err.Error(), "1.30, ") || !strings.Contains(err.Error(), newest) {
			t.Errorf("error for %s = %v, want one that lists what there is", unknown, err)
		}
	}
}

// Every minor between the oldest and the newest is there once.
func TestMinors(t *testing.T) {
	minors, err := Minors()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"}
	if diff := cmp.Diff(want, minors); diff != "" {
		t.Error(diff)
	}
}

// The modules of the releases pin what the list of releases says.
func TestReleasesArePinned(t *testing.T) {
	replaced := regexp.MustCompile(`(?m)^\t(k8s\.io/\S+) => (\S+) (\S+)$`)
	for _, r := range Releases() {
		folder, err := r.ModuleFolder()
		if err != nil {
			t.Fatal(err)
		}
		goMod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(goMod), "require "+kubernetesPath+" "+r.Version+" ") &&
			!strings.Contains(string(goMod), "\t"+kubernetesPath+" "+r.Version+" ") {
			t.Errorf("%s does not require %s", folder, r.Version)
		}
		lines := replaced.FindAllStringSubmatch(string(goMod), -1)
		if len(lines) < 25 {
			t.Errorf("%s replaces %d modules", folder, len(lines))
		}
		for _, line := range lines {
			want := "v0." + strings.TrimPrefix(r.Version, "v1.")
			if lagging := r.Lagging[line[1]]; lagging != "" {
				want = lagging
			}
			if line[1] != line[2] || line[3] != want {
				t.Errorf("%s: %s, want %s", folder, strings.TrimSpace(line[0]), want)
			}
		}
	}
}

func TestOlderClusterHasNoScheduler(t *testing.T) {
	for name, o := range map[string]Options{
		"with a scheduler": {Kubernetes: "1.30", Scheduler: true},
		"with nodes":       {Kubernetes: "1.30", Nodes: &Nodes{}},
	} {
		if _, err := o.withDefaults(); err == nil || !strings.Contains(err.Error(), "1.30 has no scheduler") {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

func TestVariableSetsMinor(t *testing.T) {
	t.Setenv(ReleaseVariable, "1.33")
	for want, o := range map[string]Options{"1.33": {}, "1.31": {Kubernetes: "1.31"}} {
		if got, err := o.withDefaults(); err != nil || got.Kubernetes != want {
			t.Errorf("%q, %v, want %s", got.Kubernetes, err, want)
		}
	}
}
