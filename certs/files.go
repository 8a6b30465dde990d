package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// loadRetry is when the files are read again after a failure.
const loadRetry = time.Second

// Files loads the certificate from tls.crt and tls.key of a folder, and reloads it when
// they change. While a new pair cannot be loaded, it serves the last one. Before the
// first one, every handshake fails.
type Files struct {
	dir     string
	changed chan struct{}
	// tried is closed after the first attempt to load.
	tried chan struct{}
	once  sync.Once

	mu      sync.Mutex
	watcher *certwatcher.CertWatcher
	err     error
}

// NewFiles returns the certificate in dir. Start loads it.
func NewFiles(dir string) *Files {
	return &Files{dir: dir, changed: make(chan struct{}, 1), tried: make(chan struct{})}
}

// ServeFrom makes a TLS server use the certificate.
func (f *Files) ServeFrom(config *tls.Config) {
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current() }
}

// NeedLeaderElection makes every manager load the files.
func (f *Files) NeedLeaderElection() bool { return false }

// Start loads the files, and reloads them at each change, until ctx ends. It waits for
// files that do not exist yet, or that are not a pair.
func (f *Files) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		err := f.load(ctx)
		if err != nil {
			ctrl.LoggerFrom(ctx).V(1).Info("the webhook's certificate cannot be loaded", "dir", f.dir, "reason", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(loadRetry):
		}
	}
	return nil
}

// load loads the files, and returns if they cannot be watched, or when ctx ends.
func (f *Files) load(ctx context.Context) error {
	watcher, err := certwatcher.New(filepath.Join(f.dir, "tls.crt"), filepath.Join(f.dir, "tls.key"))
	f.take(watcher, err)
	if err != nil {
		return fmt.Errorf("loading the certificate: %w", err)
	}
	watcher.RegisterCallback(func(tls.Certificate) { f.notify() })
	if err := watcher.Start(ctx); err != nil {
		return fmt.Errorf("watching the certificate: %w", err)
	}
	return nil
}

func (f *Files) take(watcher *certwatcher.CertWatcher, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.once.Do(func() { close(f.tried) })
	f.err = err
	if err == nil {
		f.watcher = watcher
	}
}

func (f *Files) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// current returns the certificate, or an error that says why there is none.
func (f *Files) current() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watcher == nil {
		if f.err != nil {
			return nil, f.err
		}
		return nil, fmt.Errorf("the files in %s have not been read yet", f.dir)
	}
	certificate, err := f.watcher.GetCertificate(nil)
	if err != nil {
		return nil, fmt.Errorf("getting the certificate: %w", err)
	}
	return certificate, nil
}

func (f *Files) leaf() (*x509.Certificate, error) {
	certificate, err := f.current()
	if err != nil {
		return nil, err
	}
	return certificate.Leaf, nil
}
