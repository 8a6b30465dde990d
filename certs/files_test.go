package certs

import (
	"context"
	"crypto/x509"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startFiles loads files until the test ends.
func startFiles(t *testing.T, files *Files) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := files.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// await waits until files have the leaf.
func await(t *testing.T, files *Files, leaf *x509.Certificate) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-files.changed:
		case <-time.After(10 * time.Millisecond):
		}
		if got, err := files.leaf(); err == nil && got.Equal(leaf) {
			return
		}
	}
	_, err := files.leaf()
	t.Fatalf("the certificate is not loaded: %v", err)
}

func TestFiles(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	files := NewFiles(dir)
	if _, err := files.leaf(); err == nil {
		t.Error("a certificate before any was loaded")
	}
	startFiles(t, files)
	first := ca.write(dir)
	await(t, files, first)

	write(t, filepath.Join(dir, "tls.key"), []byte("no key"))
	if got, err := files.leaf(); err != nil || !got.Equal(first) {
		t.Errorf("with half a pair: %v", err)
	}
	await(t, files, ca.write(dir))
}
