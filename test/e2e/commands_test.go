package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/job-handler/job-handler/internal/jobtest/pinned"
)

// commandsTimeout is for one walk, with programs and images built anew.
const commandsTimeout = 15 * time.Minute

// walk is a reader's way through commands of the documents, in one shell.
type walk struct {
	name  string
	steps []step
}

// step is a block of commands of a document, or what the walk does by itself.
type step struct {
	doc string
	// begins is how the first command of the block begins; empty for all blocks of
	// the document, one after the other.
	begins string
	// left are lines of the block that are not run, by how they begin, and why.
	left map[string]string
	// before are commands that come before the line that begins so.
	before map[string]string
	// do is what the walk does so that the next block finds what it supposes.
	do string
}

func block(doc, begins string) step { return step{doc: doc, begins: begins} }
func do(commands string) step       { return step{do: commands} }

const (
	readme             = "README.md"
	contributingDoc    = "docs/contributing.md"
	installDoc         = "docs/install.md"
	operationsDoc      = "docs/operations.md"
	resultsDoc         = "docs/results.md"
	securityDoc        = "docs/security.md"
	troubleshootingDoc = "docs/troubleshooting.md"
	whyDoc             = "docs/why.md"
	upgradingDoc       = "docs/upgrading.md"

	noEngine = "there is no container engine here; the image is made without, see make image"
)

var walks = []walk{
	{"demo", []step{
		{doc: readme, begins: "make demo ", left: map[string]string{"make test ": "it has its own tiers, of which this is one"}},
	}},
	{"try", []step{
		block(readme, "make cluster "),
		{doc: contributingDoc, begins: "make build", left: map[string]string{"make lint ": "it is what a change is checked with before any test"}},
	}},
	{"installed", []step{
		do(`make cluster build
			export KUBECONFIG=$PWD/bin/cluster/kubeconfig PATH=$PWD/bin:$PWD/bin/cluster/bin:$PATH
			make image-load IMAGE=registry.example.com/job-handler:v0.1.0`),
		{doc: readme, begins: "make image-push ", left: map[string]string{"make image-push ": "it needs a registry; the image was loaded"}},
		{doc: installDoc, begins: "docker build ", left: map[string]string{"docker build ": noEngine, "docker push ": noEngine}},
		block(installDoc, "make install-manifest "),
		do(`make image-load IMAGE=registry.example.com/job-handler:v0.2.0`),
		block(upgradingDoc, "make deploy "),
		block(readme, "kubectl label namespace default "),
		do(`kubectl create namespace monitoring`),
		block(installDoc, "kubectl label namespace monitoring "),
		do(`kubectl create namespace team-a`),
		block(securityDoc, "make install-manifest COMPONENTS=secret-results "),
		do(`kubectl apply -f bin/install.yaml`),
		block(readme, "kubectl apply -n team-a "),
		do(`kubectl create namespace reports
			kubectl label namespace reports job-handler/enabled=true
			kubectl config set-context --current --namespace=reports
			kubectl create job nightly-report --image=busybox:1.36 -- echo all of it
			kubectl job-results wait nightly-report --timeout=2m
			` + failing("broken-import")),
		block(readme, "kubectl get configmaps -l "),
		block(readme, "export PATH=$PWD/bin:$PATH"),
		block(whyDoc, "kubectl job-results get broken-import"),
		block(whyDoc, "kubectl get configmap broken-import-results "),
		do(`container() { kubectl create job own-results --image=busybox:1.36 -- sh -c "$1"; }
			container "$(sed -n '/> \/dev\/termination-log/p' README.md | head -n 1)"
			kubectl job-results wait own-results --timeout=2m
			test "$(kubectl get configmap own-results-results -o jsonpath='{.data.records-processed}')" = 1,234,567`),
		{doc: readme, begins: "kubectl annotate job NAME ", before: map[string]string{
			"kubectl annotate job NAME ": protectedJob("first"),
			"kubectl patch job NAME ":    letGo("first") + protectedJob("second") + managers(0),
			"bin/job-handler release ":   letGo("second") + managers(2),
		}},
		do(manyLines),
		block(resultsDoc, "for part in "),
		block(troubleshootingDoc, "kubectl get events "),
		block(troubleshootingDoc, "kubectl --namespace job-handler-system describe pods"),
		block(readme, "bin/job-handler self-test "),
		{doc: installDoc, begins: "make image ", left: map[string]string{"kind load ": "kind needs a container engine"}},
		do(managers(0)),
		block(troubleshootingDoc, "make build"),
		block(installDoc, "make build"),
		block(upgradingDoc, "make build"),
		do(`make undeploy CLUSTER=current`),
		block(installDoc, "make chart "),
		block(installDoc, "helm upgrade "),
		do(`make cluster-down`),
	}},
	{"operations", []step{
		do(`make cluster build
			export KUBECONFIG=$PWD/bin/cluster/kubeconfig PATH=$PWD/bin:$PWD/bin/cluster/bin:$PATH
			` + operatorKinds + `
			make deploy COMPONENTS='fail-closed prometheus secret-results'
			kubectl create namespace monitoring
			kubectl label namespace default job-handler/enabled=true
			` + failing("broken")),
		{doc: operationsDoc},
		do(`make undeploy
			kubectl delete clusterrolebinding job-handler-metrics
			left=$(kubectl get clusterroles,clusterrolebindings,namespaces,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings -o name |
				grep job-handler || true)
			test -z "$left" || { echo "make undeploy leaves $left" >&2; false; }
			make cluster-down`),
	}},
}

// operatorKinds gives a cluster the kinds of the Prometheus operator.
const operatorKinds = `kinds=$(go mod download -json github.com/prometheus-operator/prometheus-operator@v0.85.0 |
				sed -n 's|.*"Dir": "\(.*\)".*|\1/example/prometheus-operator-crd|p')
			kubectl apply --server-side -f "$kinds/monitoring.coreos.com_servicemonitors.yaml" -f "$kinds/monitoring.coreos.com_prometheusrules.yaml"
			kubectl wait --for=condition=Established crd/servicemonitors.monitoring.coreos.com crd/prometheusrules.monitoring.coreos.com`

// failing makes a Job that fails once, and waits for its results.
func failing(name string) string {
	return fmt.Sprintf(`kubectl create job %[1]s --image=busybox:1.36 --dry-run=client -o yaml -- sh -c 'echo no such table; exit 1' |
			kubectl patch --local -f - --type=merge --patch='{"spec": {"backoffLimit": 0}}' -o yaml | kubectl create -f -
		code=0; kubectl job-results wait %[1]s --timeout=2m || code=$?
		test "$code" = 1`, name)
}

// letGo waits until nothing holds a Job.
func letGo(name string) string {
	return fmt.Sprintf("shown %s %s\n", quoted("kubectl get job "+name+" -o jsonpath='held: {.metadata.finalizers}'"), quoted(`^held: \s*$`))
}

// managers has so many of them be there.
func managers(count int) string {
	return fmt.Sprintf(`
		kubectl --namespace job-handler-system scale deployment/job-handler --replicas=%[1]d
		if test %[1]d = 0; then
			kubectl --namespace job-handler-system wait pod --all --for=delete --timeout=2m
		else
			kubectl --namespace job-handler-system rollout status deployment/job-handler --timeout=2m
		fi`, count)
}

// protectedJob makes a Job that is protected and goes on, and calls it NAME.
func protectedJob(name string) string {
	return fmt.Sprintf(`NAME=%[1]s
		kubectl create job $NAME --image=busybox:1.36 --dry-run=client -o yaml -- sleep 600 |
			kubectl annotate --local -f - job-handler/protect=true -o yaml | kubectl create -f -
		test -n "$(kubectl get job $NAME -o jsonpath='{.metadata.finalizers}')"`, name)
}

// manyLines makes the results report-results, in parts: of a log that no
// compression makes small.
const manyLines = `kubectl --namespace job-handler-system patch deployment/job-handler --type=json \
		-p '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--max-results-size=16Mi"}]'
	kubectl --namespace job-handler-system rollout status deployment/job-handler
	kubectl create job report --image=busybox:1.36 -- sh -c 'head -c 2000000 /dev/urandom | base64'
	kubectl job-results wait report --timeout=5m`

// runsElsewhere are blocks that no walk runs, by how they begin.
var runsElsewhere = map[string]string{
	`echo '{"records-processed": `: "it is for a container; the walk takes it from here into one",
}

// TestCommandsOfDocuments: every command that a document gives is run by a walk,
// or says why not, and what is run is in a document.
func TestCommandsOfDocuments(t *testing.T) {
	all := blocksOf(t)
	found := map[string]bool{}
	for _, w := range walks {
		for _, step := range w.steps {
			if step.do != "" {
				continue
			}
			text := "\n"
			for _, b := range step.find(all) {
				found[b.text] = true
				text += b.text
			}
			if text == "\n" {
				t.Errorf("walk %s: %s has no block that begins %q", w.name, step.doc, step.begins)
			}
			for begins := range step.left {
				if !strings.Contains(text, "\n"+begins) {
					t.Errorf("walk %s: %s has no line that begins %q", w.name, step.doc, begins)
				}
			}
		}
	}
	for _, b := range all {
		elsewhere := false
		for begins := range runsElsewhere {
			elsewhere = elsewhere || strings.HasPrefix(b.text, begins)
		}
		if !found[b.text] && !elsewhere {
			t.Errorf("%s: no walk runs %q", b, b.text)
		}
	}
	if len(all) < 15 {
		t.Errorf("%d blocks only", len(all))
	}
}

// Targets that are named in a text are there.
func TestTargetsOfDocuments(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(moduleRoot, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`make ([a-z][a-z0-9-]*)")
	count := 0
	for name, text := range documents(t) {
		for _, target := range named.FindAllStringSubmatch(text, -1) {
			count++
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s names make %s, which is not there", name, target[1])
			}
		}
	}
	if count < 10 {
		t.Errorf("%d targets only", count)
	}
}

// Links from one document to another lead somewhere.
func TestLinksOfDocuments(t *testing.T) {
	texts := documents(t)
	count := 0
	for name, text := range texts {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			count++
			file, anchor, _ := strings.Cut(found[1], "#")
			to := name
			if file != "" {
				to = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(moduleRoot, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, found[1], err)
			}
			if anchor != "" && !slices.Contains(anchorsOf(texts[to]), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", name, found[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("%d links only", count)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s:]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// unlinked is what anchors leave out of headings.
	unlinked = regexp.MustCompile(`[^\w-]`)
)

// anchorsOf returns what the headings of a document are called in links.
func anchorsOf(text string) []string {
	var anchors []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		anchor := strings.ReplaceAll(strings.ToLower(found[1]), " ", "-")
		anchors = append(anchors, unlinked.ReplaceAllString(anchor, ""))
	}
	return anchors
}

// TestCommands walks through the documents, in a copy of the project's files.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("the walks take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the walks need root: their containers run on this machine")
	}
	program, err := pinned.Program(t.Context(), moduleRoot, pinned.Helm())
	if err != nil {
		t.Fatal(err)
	}
	all := blocksOf(t)
	for _, w := range walks {
		t.Run(w.name, func(t *testing.T) {
			folder := t.TempDir()
			copyProject(t, folder)
			t.Cleanup(func() {
				down, err := shell(context.WithoutCancel(t.Context()), folder, "", "make cluster-down")
				if err != nil {
					t.Errorf("make cluster-down: %v\n%s", err, down)
				}
			})
			output, err := shell(t.Context(), folder, filepath.Dir(program), w.script(all))
			if err != nil {
				t.Errorf("%v:\n%s", err, output)
			}
		})
	}
}

// shell runs a script with bash in a folder, with one more folder on the PATH,
// and returns what it printed.
func shell(ctx context.Context, folder, programs, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandsTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir = folder
	command.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG=", "TESTFLAGS=", "MAKEFLAGS=", "MAKELEVEL=")
	command.WaitDelay = 10 * time.Second
	output, err := command.CombinedOutput()
	return string(output), err
}

// copyProject copies the files of the project, as a release has them.
func copyProject(t *testing.T, to string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = moduleRoot
	names, err := list.Output()
	if err != nil {
		t.Fatalf("listing the project's files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(moduleRoot, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}

// prelude tells which command of which block failed. Shown runs a command until
// what it prints is what a document shows, which may take a moment.
const prelude = `set -eEuo pipefail
trap 'echo "FAILED at $at: $BASH_COMMAND" >&2' ERR
shown() {
	for _ in {1..60}; do
		printed=$(eval "$1" 2>&1) || true
		if grep -Pzq -- "$2" <<<"$printed"; then
			echo "$printed"
			return 0
		fi
		sleep 1
	done
	printf 'FAILED at %s: %s prints\n%s\n' "$at" "$1" "$printed" >&2
	return 1
}
`

// script is all of a walk.
func (w walk) script(all []*docBlock) string {
	var script strings.Builder
	script.WriteString(prelude)
	for _, step := range w.steps {
		if step.do != "" {
			fmt.Fprintf(&script, "at='what the walk does'\n%s\n", step.do)
			continue
		}
		for _, b := range step.find(all) {
			fmt.Fprintf(&script, "at=%s\necho \"--- $at\"\n", b)
			for _, line := range b.commands() {
				script.WriteString(step.line(line))
			}
		}
	}
	return script.String()
}

// line returns a line of a block as the walk runs it.
func (s step) line(line string) string {
	begins := func(begins string) bool { return strings.HasPrefix(line, begins) }
	if slices.ContainsFunc(slices.Collect(maps.Keys(s.left)), begins) {
		return ""
	}
	run := placeholder.ReplaceAllString(line, " $$NAME") + "\n"
	for before, commands := range s.before {
		if begins(before) {
			run = commands + "\n" + run
		}
	}
	return run
}

// placeholder is what a reader replaces.
var placeholder = regexp.MustCompile(` NAME\b`)
