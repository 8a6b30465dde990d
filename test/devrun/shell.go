package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/fatih/color"
)

var prompt = color.New(color.Faint)

// shell runs kubectl, with the plugins in a folder, and prints each command with
// what it answered. After the first failure it does nothing any more; err says
// what failed.
type shell struct {
	kubectl string
	// kubeconfig is empty where kubectl finds it by itself.
	kubeconfig string
	// namespace is that of every command, if it is set.
	namespace string
	// plugins is the folder with plugins of kubectl.
	plugins string
	out     io.Writer
	err     error
}

// run runs kubectl and returns what it printed.
func (s *shell) run(ctx context.Context, args ...string) string {
	return s.runWith(ctx, nil, args)
}

// apply applies one of the demo's Jobs.
func (s *shell) apply(ctx context.Context, file string) {
	text, err := fs.ReadFile(jobs, "jobs/"+file)
	if err != nil {
		s.fail(err)
		return
	}
	s.runWith(ctx, text, []string{"apply", "-f", "-"})
}

// show prints one of the demo's Jobs.
func (s *shell) show(file string) {
	text, err := fs.ReadFile(jobs, "jobs/"+file)
	if err != nil {
		s.fail(err)
		return
	}
	if s.err == nil {
		fmt.Fprintf(s.out, "%s\n", text)
	}
}

func (s *shell) runWith(ctx context.Context, input []byte, args []string) string {
	if s.err != nil {
		return ""
	}
	if s.namespace != "" {
		args = append(slices.Clip(args), "-n", s.namespace)
	}
	_, _ = prompt.Fprintln(s.out, "$ kubectl "+quoted(args))
	command := exec.CommandContext(ctx, s.kubectl, args...)
	// kubectl finds its plugins by PATH.
	command.Env = append(os.Environ(), "PATH="+s.plugins+":"+os.Getenv("PATH"))
	if s.kubeconfig != "" {
		command.Env = append(command.Env, "KUBECONFIG="+s.kubeconfig)
	}
	if input != nil {
		command.Stdin = bytes.NewReader(input)
	}
	output, err := command.CombinedOutput()
	text := string(output)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	fmt.Fprint(s.out, text)
	if err != nil {
		s.fail(fmt.Errorf("running kubectl %s: %w", quoted(args), err))
	}
	return text
}

// expect fails if text lacks one of parts.
func (s *shell) expect(what, text string, parts ...string) {
	for _, part := range parts {
		if s.err == nil && !strings.Contains(text, part) {
			s.fail(fmt.Errorf("%s should hold %q", what, part))
		}
	}
}

// expectNone fails unless text is empty.
func (s *shell) expectNone(what, text string) {
	if s.err == nil && strings.TrimSpace(text) != "" {
		s.fail(fmt.Errorf("%s should be gone", what))
	}
	if s.err == nil {
		fmt.Fprintln(s.out, "(nothing: "+what+" is gone)")
	}
}

func (s *shell) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// quoted returns args as one would type them.
func quoted(args []string) string {
	typed := make([]string, 0, len(args))
	for _, arg := range args {
		if strings.ContainsAny(arg, " {}\\\"$") {
			arg = "'" + arg + "'"
		}
		typed = append(typed, arg)
	}
	return strings.Join(typed, " ")
}
