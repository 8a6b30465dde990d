package faults_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// headerTimeout is far above what a call takes.
	headerTimeout = time.Minute
	// dropped is how long an attempt to connect is given to see that it gets no
	// answer; on one machine an answer is there at once.
	dropped = 500 * time.Millisecond
	// backlogFill is above what a listener with a backlog of 0 takes.
	backlogFill = 8
)

// proxy is at the address that the webhook configurations name. It forwards
// to the manager, or has a fault.
type proxy struct {
	address string
	manager string
	certDir string
	stop    func()

	mu sync.Mutex
	// calls is how often it was called since the fault began, by the namespace
	// of what it was asked about, if it answers in the manager's place.
	calls map[string]int
}

// newProxy returns a proxy at an address of its own, at which nothing listens.
func newProxy(certDir string) *proxy {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	Expect(listener.Close()).To(Succeed())
	return &proxy{address: listener.Addr().String(), certDir: certDir, stop: func() {}}
}

// become ends what the proxy was and every connection through it.
func (p *proxy) become(f fault) {
	GinkgoHelper()
	p.stop()
	p.mu.Lock()
	p.calls = map[string]int{}
	p.mu.Unlock()
	p.stop = f.begin(p)
}

func (p *proxy) callsFor(namespace string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[namespace]
}

func (p *proxy) count(body io.Reader) {
	review := &admissionv1.AdmissionReview{}
	if err := json.NewDecoder(body).Decode(review); err != nil || review.Request == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[review.Request.Namespace]++
}

// fault is something that can be wrong.
type fault struct {
	name string
	// delays is true if a call gets no answer at all.
	delays bool
	// counts is true if calls are counted.
	counts bool
	begin  func(*proxy) (stop func())
}

var (
	none = fault{name: "none", begin: func(p *proxy) func() { return p.serve(&connections{handle: p.forward}) }}

	absent = fault{name: "absent", begin: func(*proxy) func() { return func() {} }}

	blackHoled = fault{name: "black-holed", delays: true, begin: (*proxy).swallow}

	mute = fault{name: "silent on its connections", delays: true, begin: func(p *proxy) func() {
		return p.serve(&connections{handle: func(connection net.Conn) {
			_, _ = io.Copy(io.Discard, connection)
		}})
	}}

	impostor = fault{name: "somebody else by its certificate", begin: func(p *proxy) func() {
		dir := GinkgoT().TempDir()
		_, err := localcluster.ServingCert(dir, "127.0.0.1")
		Expect(err).NotTo(HaveOccurred())
		config := tlsConfig(dir)
		return p.serve(&connections{handle: func(connection net.Conn) {
			_ = tls.Server(connection, config).Handshake()
		}})
	}}

	failing = fault{name: "answering 500", counts: true, begin: func(p *proxy) func() {
		return p.answer(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		})
	}}

	hanging = fault{name: "hanging", delays: true, counts: true, begin: func(p *proxy) func() {
		return p.answer(func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	}}
)

// server is an http.Server, or connections.
type server interface {
	Serve(listener net.Listener) error
	Close() error
}

func (p *proxy) serve(s server) (stop func()) {
	GinkgoHelper()
	listener, err := net.Listen("tcp", p.address)
	Expect(err).NotTo(HaveOccurred())
	return serve(listener, s)
}

func serve(listener net.Listener, s server) (stop func()) {
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(listener) })
	return func() {
		_ = listener.Close()
		_ = s.Close()
		serving.Wait()
	}
}

// answer serves with the manager's certificate.
func (p *proxy) answer(handle http.HandlerFunc) (stop func()) {
	GinkgoHelper()
	counted := func(w http.ResponseWriter, request *http.Request) {
		// A server notices that its client is gone once it has read what was sent.
		p.count(request.Body)
		_, _ = io.Copy(io.Discard, request.Body)
		handle(w, request)
	}
	listener, err := net.Listen("tcp", p.address)
	Expect(err).NotTo(HaveOccurred())
	return serve(tls.NewListener(listener, tlsConfig(p.certDir)), newServer(http.HandlerFunc(counted)))
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
}

func tlsConfig(dir string) *tls.Config {
	GinkgoHelper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	Expect(err).NotTo(HaveOccurred())
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}

func (p *proxy) forward(from net.Conn) {
	to, err := net.Dial("tcp", p.manager)
	if err != nil {
		return
	}
	defer to.Close()
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	})
	_, _ = io.Copy(from, to)
	_ = from.Close()
	copying.Wait()
}

// swallow listens with a queue that is full: the kernel drops what comes.
func (p *proxy) swallow() (stop func()) {
	GinkgoHelper()
	address, err := net.ResolveTCPAddr("tcp4", p.address)
	Expect(err).NotTo(HaveOccurred())
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	Expect(err).NotTo(HaveOccurred())
	queued := []io.Closer{os.NewFile(uintptr(socket), p.address)}
	stop = func() {
		for _, each := range queued {
			_ = each.Close()
		}
	}
	Expect(unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)).To(Succeed())
	Expect(unix.Bind(socket, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})).To(Succeed())
	Expect(unix.Listen(socket, 0)).To(Succeed())
	for range backlogFill {
		connection, err := net.DialTimeout("tcp", p.address, dropped)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return stop
		}
		Expect(err).NotTo(HaveOccurred())
		queued = append(queued, connection)
	}
	stop()
	Fail("the queue is never full")
	return nil
}

// connections serves connections one by one.
type connections struct {
	handle func(net.Conn)

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	wait   sync.WaitGroup
}

// Serve accepts connections until the listener is closed.
func (c *connections) Serve(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		if !c.add(connection) {
			return net.ErrClosed
		}
		c.wait.Go(func() {
			defer connection.Close()
			c.handle(connection)
		})
	}
}

func (c *connections) add(connection net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = connection.Close()
		return false
	}
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[connection] = true
	return true
}

// Close ends all connections.
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	for connection := range c.open {
		_ = connection.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
	return nil
}
