package localcluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// heartbeat is how often a build that has nothing to tell says that it goes on.
const heartbeat = 10 * time.Second

// buildWatch follows a go command by what it prints and by the files that it
// makes, and reports how far it is.
type buildWatch struct {
	module   string
	output   string
	programs []program
	progress reporter
	started  time.Time

	mu          sync.Mutex
	downloading bool
	compiled    int
	total       int
	built       map[string]bool
	// rest is the part of a line that has no end yet; tail is the latest
	// lines that tell of neither a package nor a download.
	rest string
	tail []string
}

func newBuildWatch(module, output string, programs []program, progress reporter) *buildWatch {
	return &buildWatch{
		module: module, output: output, programs: programs, progress: progress,
		started: time.Now(), built: map[string]bool{},
	}
}

// watch reports until the returned function is called, which may be repeated.
func (w *buildWatch) watch() func() {
	names := make([]string, len(w.programs))
	for i, p := range w.programs {
		names[i] = p.name
	}
	w.progress.line("building %s (kept in the cache folder for the next time)", strings.Join(names, ", "))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		look, beat := time.NewTicker(time.Second), time.NewTicker(heartbeat)
		defer look.Stop()
		defer beat.Stop()
		for {
			select {
			case <-look.C:
				w.announce()
			case <-beat.C:
				w.progress.line("%s", w.status())
			case <-stop:
				w.announce()
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-stopped })
}

// announce reports the programs that came to be since the last call.
func (w *buildWatch) announce() {
	for _, p := range w.programs {
		if _, err := os.Stat(filepath.Join(w.output, p.binary())); err != nil || w.built[p.name] {
			continue
		}
		w.mu.Lock()
		w.built[p.name] = true
		w.mu.Unlock()
		w.progress.line("built %s after %s", p.name, since(w.started))
	}
}

func (w *buildWatch) status() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.downloading {
		return fmt.Sprintf("%s programs: downloading modules, %s", w.module, since(w.started))
	}
	return fmt.Sprintf("%s programs: %d of %d built, %d of at most %d packages compiled, %s",
		w.module, len(w.built), len(w.programs), w.compiled, w.total, since(w.started))
}

// count runs a go list command, which downloads what the build needs, and
// takes the number of its lines for the number of packages.
func (w *buildWatch) count(cmd *exec.Cmd) error {
	var packages bytes.Buffer
	cmd.Stdout = &packages
	err := w.run(cmd)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.downloading = false
	w.total = bytes.Count(packages.Bytes(), []byte("\n"))
	return err
}

func (w *buildWatch) run(cmd *exec.Cmd) error {
	cmd.Stderr = w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running go %s: %w\n%s", cmd.Args[1], err, strings.Join(w.tail, "\n"))
	}
	return nil
}

// Write takes what go prints on its standard error.
func (w *buildWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := strings.Split(w.rest+string(p), "\n")
	w.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		w.take(line)
	}
	return len(p), nil
}

func (w *buildWatch) take(line string) {
	const lastLines = 20
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		w.downloading = true
	case !strings.ContainsAny(line, " :#\t"):
		w.downloading = false
		w.compiled++
	default:
		w.tail = append(w.tail, line)
		w.tail = w.tail[max(0, len(w.tail)-lastLines):]
	}
}
