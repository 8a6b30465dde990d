package localcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLifetime is long enough for a cluster that is left running.
const certificateLifetime = 365 * 24 * time.Hour

// authority is a certificate authority with its key.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// keyPair is a certificate and its key, PEM-encoded.
type keyPair struct {
	cert, key []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate: certificate, key: key}, err
}

// loadAuthority reads what save wrote.
func loadAuthority(certPath, keyPath string) (*authority, error) {
	certificate, err := readPEM(certPath)
	if err != nil {
		return nil, err
	}
	key, err := readPEM(keyPath)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", certPath, err)
	}
	private, err := x509.ParseECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", keyPath, err)
	}
	return &authority{certificate: parsed, key: private}, nil
}

func (a *authority) save(certPath, keyPath string) error {
	key, err := encodeKey(a.key)
	if err != nil {
		return err
	}
	return keyPair{cert: a.pem(), key: key}.save(certPath, keyPath)
}

func (a *authority) pem() []byte { return encodeCertificate(a.certificate.Raw) }

// serving signs a certificate for a server that is reached under the hosts,
// names or addresses.
func (a *authority) serving(subject pkix.Name, hosts ...string) (keyPair, error) {
	template, err := newTemplate(subject)
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.sign(template)
}

// client signs a certificate that Kubernetes takes for the user in the groups.
func (a *authority) client(user string, groups ...string) (keyPair, error) {
	template, err := newTemplate(pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *authority) sign(template *x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("signing a certificate for %s: %w", template.Subject.CommonName, err)
	}
	encoded, err := encodeKey(key)
	return keyPair{cert: encodeCertificate(der), key: encoded}, err
}

func (p keyPair) save(certPath, keyPath string) error {
	if err := os.WriteFile(keyPath, p.key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(certPath, p.cert, 0o644)
}

// newTemplate starts its validity in the past, for clocks that are behind.
func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLifetime),
	}, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("parsing %s: no PEM block in it", path)
	}
	return block.Bytes, nil
}

// ServingCert writes tls.crt and tls.key for a server, such as a webhook on
// this machine, that is reached under the hosts (names or addresses; none
// means 127.0.0.1 and localhost), into dir, which is made if need be. It
// returns the certificate, PEM-encoded, of the authority that signed it, which
// is a new one with every call: the caBundle of a webhook configuration.
func ServingCert(dir string, hosts ...string) ([]byte, error) {
	if len(hosts) == 0 {
		hosts = []string{"127.0.0.1", "localhost"}
	}
	ca, err := newAuthority("job-handler-webhook")
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	pair, err := ca.serving(pkix.Name{CommonName: hosts[0]}, hosts...)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for certificates: %w", err)
	}
	if err := pair.save(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
		return nil, fmt.Errorf("writing a certificate: %w", err)
	}
	return ca.pem(), nil
}
