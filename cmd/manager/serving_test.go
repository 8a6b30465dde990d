package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/options"
)

// slow is a handler that says when it was called, and answers when it may.
type slow struct{ called, answer chan struct{} }

func newSlow() *slow { return &slow{called: make(chan struct{}), answer: make(chan struct{})} }

func (s *slow) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	close(s.called)
	<-s.answer
	_, _ = io.WriteString(w, "stamped")
}

// serving is a webhookServer on a port of its own.
type serving struct {
	*webhookServer

	url    string
	client *http.Client
	cancel context.CancelFunc
	began  chan error
}

// end tells the server to end, and returns when its manager may go on.
func (s *serving) end(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := <-s.began; err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, handler http.Handler, drain time.Duration) *serving {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := options.New()
	opts.Webhook.Host, opts.Webhook.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	opts.Webhook.CertDir = t.TempDir()
	if _, err := localcluster.ServingCert(opts.Webhook.CertDir, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	s := &serving{
		webhookServer: newWebhookServer(opts, certs.NewFiles(opts.Webhook.CertDir)),
		url:           "https://127.0.0.1:" + strconv.Itoa(opts.Webhook.Port),
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
		}},
		began: make(chan error, 1),
	}
	s.drain = drain
	s.Register("/slow", handler)
	s.Register("/", http.NotFoundHandler())
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.began <- s.Start(ctx) }()
	for s.get("/") == nil {
		if ctx.Err() != nil {
			t.Fatal("it never answered")
		}
	}
	return s
}

// get returns the answer, or nil if there is none.
func (s *serving) get(path string) *http.Response {
	response, err := s.client.Get(s.url + path)
	if err != nil {
		return nil
	}
	return response
}

// A request that is on its way when the process is told to end is answered.
func TestWebhookServerAnswersWhatItBegan(t *testing.T) {
	handler := newSlow()
	s := serve(t, handler, time.Minute)
	answers := make(chan *http.Response, 1)
	go func() { answers <- s.get("/slow") }()
	<-handler.called
	s.end(t)
	finished := make(chan error, 1)
	go func() { finished <- s.finish() }()
	for s.get("/") != nil { // until it takes no more
		continue
	}
	select {
	case err := <-finished:
		t.Fatalf("it ended before its last answer: %v", err)
	default:
	}
	close(handler.answer)
	response := <-answers
	if response == nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %v", response)
	}
	if text, err := io.ReadAll(response.Body); string(text) != "stamped" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	response.Body.Close()
	s.client.CloseIdleConnections()
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

// The lease is given back when Start has returned; requests are taken still.
func TestWebhookServerDelaysItsEnd(t *testing.T) {
	s := serve(t, newSlow(), time.Minute)
	s.delay = time.Hour
	s.end(t)
	if s.get("/") == nil {
		t.Error("no answer after the manager has ended")
	}
	s.delay = 0
	if err := s.finish(); err != nil {
		t.Error(err)
	}
	if s.get("/") != nil {
		t.Error("an answer after its end")
	}
}

// A request that does not end does not hold up the process.
func TestWebhookServerEndsInTime(t *testing.T) {
	handler := newSlow()
	s := serve(t, handler, 50*time.Millisecond)
	go s.get("/slow")
	<-handler.called
	s.end(t)
	if err := s.finish(); err != nil {
		t.Error(err)
	}
	close(handler.answer)
}

// A manager without a webhook has nothing to finish.
func TestWebhookServerNeverStarted(t *testing.T) {
	if err := new(webhookServer).finish(); err != nil {
		t.Error(err)
	}
}

// What fails alongside ends the server, and so the process, which says why.
func TestWebhookServerFailsWithWhatIsAlongside(t *testing.T) {
	trouble := errors.New("trouble")
	s := &webhookServer{
		Server:    webhook.NewServer(webhook.Options{Port: -1}),
		alongside: []manager.Runnable{manager.RunnableFunc(func(context.Context) error { return trouble })},
	}
	if err := s.Start(t.Context()); !errors.Is(err, trouble) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyHTTP1(t *testing.T) {
	s := serve(t, newSlow(), time.Minute)
	response := s.get("/")
	response.Body.Close()
	s.client.CloseIdleConnections()
	if response.ProtoMajor != 1 {
		t.Errorf("answered with %s", response.Proto)
	}
	s.end(t)
	if err := s.finish(); err != nil {
		t.Error(err)
	}
}
