package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Try(path); !errors.Is(err, ErrLocked) {
		t.Errorf("error = %v, want %v", err, ErrLocked)
	}
	waited := make(chan struct{})
	go func() {
		<-waited
		// A holder may remove the file; the one who waits must not lock the removed one.
		os.Remove(path)
		held.Close()
	}()
	next, err := Wait(t.Context(), path, func() { close(waited) })
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if !isAt(next, path) {
		t.Error("a file that was removed is locked")
	}
}
