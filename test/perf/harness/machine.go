package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/job-handler/job-handler/test/perf/report"
)

// syncs is how often the disk is tried.
const syncs = 100

// Machine returns what the benchmark runs on. The disk that is tried is that of
// temporary files, where etcd's data is.
func Machine(ctx context.Context) (report.Machine, error) {
	machine := report.Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return machine, err
	}
	processors, err := proc.CPUInfo()
	if err != nil {
		return machine, fmt.Errorf("reading what the processor is: %w", err)
	}
	if len(processors) > 0 {
		machine.Processor = processors[0].ModelName
	}
	memory, err := proc.Meminfo()
	if err != nil {
		return machine, fmt.Errorf("reading how much memory there is: %w", err)
	}
	if memory.MemTotalBytes != nil {
		machine.Memory = fmt.Sprintf("%.0f GiB", float64(*memory.MemTotalBytes)/(1<<30))
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return machine, fmt.Errorf("asking for the kernel's version: %w", err)
	}
	machine.Kernel = unix.ByteSliceToString(name.Release[:])
	machine.SyncMillis, err = syncMillis(ctx)
	return machine, err
}

// syncMillis returns how long it takes in the mean until a write of some KiB is
// safe on the disk.
func syncMillis(ctx context.Context) (float64, error) {
	folder, err := os.MkdirTemp("", "job-handler-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	file, err := os.Create(filepath.Join(folder, "sync"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	block := make([]byte, 4*kib)
	began := time.Now()
	for range syncs {
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return float64(time.Since(began).Microseconds()) / 1000 / syncs, nil
}
