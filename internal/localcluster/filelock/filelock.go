// Package filelock has locks that a process holds as long as a file is open, and that a
// process which it started may go on holding.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("held by another process")

// Try takes a lock that ends with the last copy of the returned file, in
// whichever process that is. The holder may remove the file.
func Try(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrLocked
			}
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		// A file that its holder removed in the meantime locks nothing.
		if isAt(file, path) {
			return file, nil
		}
		_ = file.Close()
	}
}

// isAt reports whether a file is the one that the path leads to.
func isAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

// Wait waits for a lock like Try's. If it must wait it calls waiting once.
func Wait(ctx context.Context, path string, waiting func()) (*os.File, error) {
	const retry = 200 * time.Millisecond
	for first := true; ; first = false {
		file, err := Try(path)
		if !errors.Is(err, ErrLocked) {
			return file, err
		}
		if first {
			waiting()
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", path, ctx.Err())
		}
	}
}
