package localcluster

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/job-handler/job-handler/internal/localcluster/filelock"
)

// leaderless is set for a copy of this program whose first thread is to end
// while others go on, and names the lock that it holds.
const leaderless = "LOCALCLUSTER_TEST_LEADERLESS"

//nolint:gochecknoinits // only here is it certain that this is the first thread
func init() {
	path := os.Getenv(leaderless)
	if path == "" {
		return
	}
	runtime.LockOSThread()
	lock, err := filelock.Try(path)
	if err != nil {
		panic(err)
	}
	go func() {
		os.Stdout.WriteString("locked\n")
		// Until it is killed; the lock's file is in use that long.
		os.Stdin.Read(make([]byte, 1))
		lock.Close()
	}()
	syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

func TestProcessWithoutItsFirstThreadIsAlive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), leaderless+"="+path)
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatalf("it said %q: %v", line, err)
	}
	process, err := identify(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for stat := (processStat{}); stat.status != "Z"; runtime.Gosched() {
		if stat, err = readStat(process.PID); err != nil {
			t.Fatal(err)
		}
	}
	if !process.alive() {
		t.Error("it counts as ended, and holds a lock")
	}

	process.kill()
	if err := process.waitForEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.Try(path)
	if err != nil {
		t.Fatalf("it counts as ended, but its lock is %v", err)
	}
	lock.Close()
}
