package localcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processID identifies a process: a PID may be used again, but not with the
// same time of start.
type processID struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

func identify(pid int) (processID, error) {
	stat, err := readStat(pid)
	return processID{PID: pid, Started: stat.started}, err
}

// alive reports whether the process exists and has not ended: once it has, its
// files are closed, and its locks gone. The init of a PID namespace counts as
// ended only when every other process in it has.
func (p processID) alive() bool {
	if p.PID == 0 {
		return false
	}
	stat, err := readStat(p.PID)
	return err == nil && stat.started == p.Started && !stat.ended()
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
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// processStat is what /proc/<pid>/stat says of a process.
type processStat struct {
	status, started string
	threads         int
}

// ended reports whether nothing of the process runs any more. A process that
// was killed is a zombie as soon as its first thread is gone; the others hold
// its files until they are gone too.
func (s processStat) ended() bool {
	return s.status == "X" || s.status == "Z" && s.threads <= 1
}

func readStat(pid int) (processStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	// Field 2, in parentheses, may hold any character.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return processStat{}, fmt.Errorf("parsing /proc/%d/stat: %d fields", pid, len(fields))
	}
	// proc_pid_stat(5) calls them state (3), num_threads (20) and starttime (22).
	threads, err := strconv.Atoi(fields[17])
	if err != nil {
		return processStat{}, fmt.Errorf("parsing /proc/%d/stat: %w", pid, err)
	}
	return processStat{status: fields[0], threads: threads, started: fields[19]}, nil
}
