package localcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processID identifies a process: a PID may be used again, but not with the
// same time of start.
type processID struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

func identify(pid int) (processID, error) {
	_, started, err := readStat(pid)
	return processID{PID: pid, Started: started}, err
}

// alive reports whether the process exists and has not ended. The init of a
// PID namespace counts as ended only when every other process in it has.
func (p processID) alive() bool {
	if p.PID == 0 {
		return false
	}
	status, started, err := readStat(p.PID)
	return err == nil && started == p.Started && status != "Z" && status != "X"
}

// waitForEnd returns when the process has ended.
func (p processID) waitForEnd(ctx context.Context) error {
	for p.alive() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the end of process %d: %w", p.PID, ctx.Err())
		}
	}
	return nil
}

func (p processID) kill() {
	if p.alive() {
		_ = unix.Kill(p.PID, unix.SIGKILL)
	}
}

// readStat returns a process's status letter and start time, fields 3 and 22
// of /proc/<pid>/stat.
func readStat(pid int) (status, started string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", err
	}
	// Field 2, in parentheses, may hold any character.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return "", "", fmt.Errorf("parsing /proc/%d/stat: %d fields", pid, len(fields))
	}
	return fields[0], fields[19], nil
}
