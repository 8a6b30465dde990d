package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const host = "webhook.ns.svc"

var now = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

// authority signs certificates in tests.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.certificate = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-10, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign signs template with key; without an issuer, it is its own.
func sign(t *testing.T, template, issuer *x509.Certificate, key, subject *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, subject.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// intermediate returns an authority that a signed.
func (a *authority) intermediate() *authority {
	below := &authority{t: a.t, key: newKey(a.t)}
	below.certificate = sign(a.t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "intermediate"},
		NotBefore: now.AddDate(-10, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.certificate, a.key, below.key)
	return below
}

// leaf returns a certificate for host that was valid for age and is for left.
func (a *authority) leaf(age, left time.Duration) *x509.Certificate {
	certificate, _ := a.leafFor(now.Add(-age), now.Add(left))
	return certificate
}

func (a *authority) leafFor(from, to time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := newKey(a.t)
	return sign(a.t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{host},
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, a.key, key), key
}

func (a *authority) pem() []byte { return encode("CERTIFICATE", a.certificate.Raw) }

// write writes a new pair into dir and returns its leaf.
func (a *authority) write(dir string) *x509.Certificate {
	a.t.Helper()
	leaf, key := a.leafFor(now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, filepath.Join(dir, "tls.crt"), encode("CERTIFICATE", leaf.Raw))
	write(a.t, filepath.Join(dir, "tls.key"), encode("EC PRIVATE KEY", der))
	return leaf
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
