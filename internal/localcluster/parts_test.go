package localcluster

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServingCert(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	bundle, err := ServingCert(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatal("the bundle holds no certificate")
	}
	for host, trusted := range map[string]bool{"127.0.0.1": true, "localhost": true, "example.com": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots})
		if (err == nil) != trusted {
			t.Errorf("verifying for %s: %v", host, err)
		}
	}
}

func TestAuthorityCanBeLoaded(t *testing.T) {
	dir := t.TempDir()
	made, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if err := made.save(cert, key); err != nil {
		t.Fatal(err)
	}
	loaded, err := loadAuthority(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if !loaded.key.Equal(made.key) || !loaded.certificate.Equal(made.certificate) {
		t.Error("another authority was loaded")
	}
}

func TestRunFolderIsShort(t *testing.T) {
	long := Folder("/" + strings.Repeat("long/", 100))
	if path := long.socket(); len(path) > 107 {
		t.Errorf("%s has %d bytes", path, len(path))
	}
	if long.Run() == Folder("/other").Run() {
		t.Error("two data folders have one folder for sockets")
	}
}

func TestClearLeavesStrangers(t *testing.T) {
	f := Folder(t.TempDir())
	if err := f.create(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notes.txt", "etcd/member", "logs/etcd.log", "kubeconfig"} {
		if err := os.WriteFile(f.Path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.clear("logs"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"notes.txt": true, "etcd": false, "logs/etcd.log": true, "kubeconfig": false} {
		if _, err := os.Stat(f.Path(name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPortsAreReserved(t *testing.T) {
	first, hold, err := reservePorts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	second, other, err := reservePorts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if first == second {
		t.Errorf("both reservations are of %d", first)
	}
}

func TestProcessID(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	other := self
	other.Started = "1"
	if !self.alive() || other.alive() || (processID{}).alive() {
		t.Errorf("alive: %v, %v, %v", self.alive(), other.alive(), (processID{}).alive())
	}
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		trouble string
	}{
		"none":                   {options: Options{}},
		"args of nobody":         {options: Options{ExtraArgs: map[string][]string{"cubelet": nil}}, trouble: "cubelet"},
		"detached without a dir": {options: Options{Detach: true}, trouble: "data folder"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.options.withDefaults()
			if (err != nil) != (test.trouble != "") || err != nil && !strings.Contains(err.Error(), test.trouble) {
				t.Errorf("error = %v, want one about %q", err, test.trouble)
			}
		})
	}
}

func TestSince(t *testing.T) {
	if got := since(time.Now().Add(-90 * time.Second)); got != "1m30s" {
		t.Errorf("since = %s", got)
	}
}

func TestFailedChecks(t *testing.T) {
	for answer, want := range map[string]string{
		"[+]ping ok\n[-]etcd failed: why\n[-]log failed: x\n": "etcd failed: why, log failed: x",
		"not yet\n": "not yet",
	} {
		if got := failedChecks(answer); got != want {
			t.Errorf("failedChecks(%q) = %q, want %q", answer, got, want)
		}
	}
}
