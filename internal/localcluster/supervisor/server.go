package supervisor

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server runs processes until it is told to shut down, gets SIGTERM or
// SIGINT, or its owner dies.
type Server struct {
	processes *processes
	detached  atomic.Bool
	stop      chan struct{}
	stopOnce  sync.Once
}

// NewServer returns a server without processes, which logs what it does on its
// own account.
func NewServer(log io.Writer) *Server {
	return &Server{processes: newProcesses(log), stop: make(chan struct{})}
}

// Serve answers on the listener until the end, then kills every process and
// returns. Owner is the read end of a pipe that the owner holds open; its end
// is the owner's death, and counts until the server was detached. Serve must
// be called on a locked thread that lives as long as the program.
func (s *Server) Serve(listener net.Listener, owner io.Reader) error {
	go s.watchOwner(owner)
	go s.watchSignals()
	reaped := make(chan struct{})
	go s.processes.reapUntil(reaped)
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		s.end()
		failed <- err
	}()
	s.processes.forkUntil(s.stop)
	s.processes.killAll()
	close(reaped)
	_ = server.Close()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) end() { s.stopOnce.Do(func() { close(s.stop) }) }

func (s *Server) watchOwner(owner io.Reader) {
	_, _ = io.Copy(io.Discard, owner)
	if !s.detached.Load() {
		s.end()
	}
}

func (s *Server) watchSignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	s.end()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathProcesses, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.processes.list(), nil)
	})
	mux.HandleFunc("POST "+pathProcesses, func(w http.ResponseWriter, r *http.Request) {
		var process Process
		err := json.NewDecoder(r.Body).Decode(&process)
		if err == nil {
			err = s.processes.start(process)
		}
		answer(w, nil, err)
	})
	mux.HandleFunc("POST "+pathAgain, func(w http.ResponseWriter, r *http.Request) {
		c, err := s.processes.get(r.FormValue("name"))
		if err == nil {
			err = s.processes.start(c.process)
		}
		answer(w, nil, err)
	})
	mux.HandleFunc("POST "+pathSignal, func(w http.ResponseWriter, r *http.Request) {
		var request signalRequest
		err := json.NewDecoder(r.Body).Decode(&request)
		if err == nil {
			err = s.processes.signal(request)
		}
		answer(w, nil, err)
	})
	mux.HandleFunc("GET "+pathWait, s.wait)
	mux.HandleFunc("POST "+pathDetach, func(w http.ResponseWriter, _ *http.Request) {
		s.detached.Store(true)
		answer(w, nil, nil)
	})
	mux.HandleFunc("POST "+pathShutdown, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, nil, nil)
		s.end()
	})
	return mux
}

func (s *Server) wait(w http.ResponseWriter, r *http.Request) {
	c, err := s.processes.get(r.FormValue("name"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	select {
	case <-c.ended:
		answer(w, c.report(), nil)
	case <-r.Context().Done():
	}
}

// answer writes a result as JSON, or an error as text.
func answer(w http.ResponseWriter, result any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result)
}
