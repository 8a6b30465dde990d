package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve starts a supervisor and returns its client, the owner's end of its
// pipe and a channel that is closed when it has ended.
func serve(t *testing.T) (*Client, *os.File, <-chan struct{}) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	reader, owner, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server, ended := NewServer(t.Output()), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(ended)
		if err := server.Serve(listener, reader); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		owner.Close()
		<-ended
	})
	return NewClient(socket), owner, ended
}

func shell(t *testing.T, name, script string) Process {
	t.Helper()
	return Process{Name: name, Args: []string{"/bin/sh", "-c", script}, Log: filepath.Join(t.TempDir(), "log")}
}

func status(t *testing.T, client *Client, name string) Status {
	t.Helper()
	all, err := client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s is not in %v", name, all)
	return Status{}
}

func TestRun(t *testing.T) {
	client, _, _ := serve(t)
	process := shell(t, "greeter", "echo hello; echo trouble >&2")
	if err := client.Run(t.Context(), process); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(process.Log); err != nil || string(log) != "hello\ntrouble\n" {
		t.Errorf("log = %q, %v", log, err)
	}
	err := client.Run(t.Context(), shell(t, "failing", "exit 3"))
	if err == nil || !strings.Contains(err.Error(), "exit code 3") {
		t.Errorf("error = %v, want one that tells the exit code", err)
	}
	if err := client.Run(t.Context(), Process{Name: "missing", Args: []string{"/no/such"}, Log: process.Log}); err == nil {
		t.Error("a missing program is no error")
	}
}

func TestNameIsTakenWhileItRuns(t *testing.T) {
	client, _, _ := serve(t)
	if err := client.Start(t.Context(), shell(t, "one", "exec sleep 100")); err != nil {
		t.Fatal(err)
	}
	if err := client.Start(t.Context(), shell(t, "one", "exec sleep 100")); err == nil {
		t.Error("a second process runs under the same name")
	}
	if err := client.End(t.Context(), "one", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := status(t, client, "one"); s.Running || s.Success || !strings.Contains(s.Exit, "signal 9") {
		t.Errorf("status = %+v", s)
	}
	if err := client.Again(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if s := status(t, client, "one"); !s.Running {
		t.Errorf("status = %+v", s)
	}
}

// A signal to a process that is ending just now is no error.
func TestSignalsWhileItEnds(t *testing.T) {
	client, _, _ := serve(t)
	for i := range 300 {
		if err := client.Start(t.Context(), shell(t, "one", "exec sleep 100")); err != nil {
			t.Fatal(err)
		}
		if err := client.End(t.Context(), "one", syscall.SIGKILL); err != nil {
			t.Fatalf("try %d: %v", i, err)
		}
	}
}

func TestEndOfPausedProcess(t *testing.T) {
	client, _, _ := serve(t)
	if err := client.Start(t.Context(), shell(t, "one", "exec sleep 100")); err != nil {
		t.Fatal(err)
	}
	if err := client.Signal(t.Context(), "one", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := client.End(t.Context(), "one", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if s := status(t, client, "one"); s.Running {
		t.Errorf("status = %+v", s)
	}
}

func TestRestart(t *testing.T) {
	client, _, _ := serve(t)
	process := shell(t, "crashing", "echo run; exec sleep 100")
	process.Restart = true
	if err := client.Start(t.Context(), process); err != nil {
		t.Fatal(err)
	}
	awaitRuns(t, process.Log, 1)
	if err := client.Signal(t.Context(), "crashing", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitRuns(t, process.Log, 2)
	if err := client.End(t.Context(), "crashing", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * restartDelay) //nolint:forbidigo // Nothing is to happen.
	awaitRuns(t, process.Log, 2)
}

func awaitRuns(t *testing.T, log string, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		data, _ := os.ReadFile(log)
		runs := strings.Count(string(data), "run")
		if runs == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d runs, want %d", runs, want)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestOwnerDies(t *testing.T) {
	client, owner, ended := serve(t)
	if err := client.Start(t.Context(), shell(t, "one", "exec sleep 100")); err != nil {
		t.Fatal(err)
	}
	owner.Close()
	<-ended
}

func TestDetachedOutlivesItsOwner(t *testing.T) {
	client, owner, ended := serve(t)
	if err := client.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	owner.Close()
	if err := client.Run(t.Context(), shell(t, "one", "sleep 0.2")); err != nil {
		t.Fatal(err)
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func TestUnknownName(t *testing.T) {
	client, _, _ := serve(t)
	if err := client.Signal(t.Context(), "nobody", syscall.SIGTERM); err == nil {
		t.Error("a signal to nobody is no error")
	}
	if _, err := client.Wait(t.Context(), "nobody"); err == nil {
		t.Error("waiting for nobody is no error")
	}
	if err := client.Again(t.Context(), "nobody"); err == nil {
		t.Error("starting nobody is no error")
	}
}
