package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// documents is where people read of flags.
const documents = "../../../"

var (
	code    = regexp.MustCompile("`[^`\n]+`")
	flagged = regexp.MustCompile(`(?:^|[ =])(--[a-z][a-z0-9-]*)`)
)

// otherFlags are those of the plugin, the manager's subcommands, kubectl, helm and etcd.
var otherFlags = []string{
	"--all-namespaces", "--applyset", "--cascade", "--context", "--cronjob", "--deleting", "--dry-run", "--failed", "--for",
	"--force-conflicts", "--help", "--kubeconfig", "--new", "--only", "--pod", "--previous", "--quota-backend-bytes", "--raw", "--run", "--server-side",
	"--show-labels", "--since", "--tail", "--timeout", "--v", "--wait", "--wait-for-jobs",
}

// A flag that a document names is there.
func TestDocumentsNameFlags(t *testing.T) {
	known := slices.Clone(otherFlags)
	for _, group := range flagGroups() {
		for _, flag := range group.Flags {
			known = append(known, flagged.FindString(" " + flag.Name)[1:])
		}
	}
	paths := []string{documents + "README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/development/*/*.md"} {
		found, err := filepath.Glob(documents + pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	seen := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range mentioned(string(text)) {
			seen++
			if !slices.Contains(known, flag) {
				t.Errorf("%s names %s, which is not there", path, flag)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d flags were found in documents", seen)
	}
}

func TestMentioned(t *testing.T) {
	got := mentioned("or `--no-such-flag`; `job-handler release --deleting`, `-v`, a--b, `x--y`")
	if want := []string{"--no-such-flag", "--deleting"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// mentioned returns the flags in the code of a text.
func mentioned(text string) []string {
	var flags []string
	for _, span := range code.FindAllString(text, -1) {
		for _, found := range flagged.FindAllStringSubmatch(span[1:len(span)-1], -1) {
			flags = append(flags, found[1])
		}
	}
	return flags
}
