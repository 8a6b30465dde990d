package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"syscall"
)

// errUnknown is returned for a name that was never started.
var errUnknown = errors.New("no such program")

// child is one run of a process.
type child struct {
	process Process
	pid     int
	// final is true if the process is meant to end.
	final bool
	// ended is closed once the process was reaped; status is valid after that.
	ended  chan struct{}
	status syscall.WaitStatus
}

func (c *child) running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

func (c *child) report() Status {
	s := Status{Name: c.process.Name, PID: c.pid, Log: c.process.Log, Running: c.running()}
	if !s.Running {
		s.Exit = describeExit(c.status)
		s.Success = c.status.Exited() && c.status.ExitStatus() == 0
	}
	return s
}

type startRequest struct {
	process Process
	result  chan error
}

// processes is the table of everything that was started. As the init of a PID
// namespace the supervisor also inherits orphans; those are reaped unseen.
type processes struct {
	mu     sync.Mutex
	byName map[string]*child
	byPID  map[int]*child
	starts chan startRequest
	log    io.Writer
}

func newProcesses(log io.Writer) *processes {
	return &processes{
		log:    log,
		byName: map[string]*child{},
		byPID:  map[int]*child{},
		starts: make(chan startRequest),
	}
}

// forkUntil starts what is asked for until done is closed. It must be called
// on a locked thread that lives as long as the supervisor: the kernel sends a
// child its parent-death signal when the thread that forked it ends.
func (p *processes) forkUntil(done <-chan struct{}) {
	for {
		select {
		case request := <-p.starts:
			request.result <- p.fork(request.process)
		case <-done:
			return
		}
	}
}

// start has the locked thread start a process.
func (p *processes) start(process Process) error {
	request := startRequest{process: process, result: make(chan error, 1)}
	p.starts <- request
	return <-request.result
}

func (p *processes) fork(process Process) error {
	if len(process.Args) == 0 {
		return errors.New("a program needs a path")
	}
	// Holding the lock keeps the reaper from seeing the end of a process that
	// is not in the table yet.
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.byName[process.Name]; c != nil && c.running() {
		return fmt.Errorf("%s runs already", process.Name)
	}
	log, err := os.OpenFile(process.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(process.Args[0], process.Args, &syscall.ProcAttr{
		Env:   process.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", process.Args[0], err)
	}
	c := &child{process: process, pid: pid, ended: make(chan struct{})}
	p.byName[process.Name], p.byPID[pid] = c, c
	return nil
}

func (p *processes) get(name string) (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.byName[name]
	if c == nil {
		return nil, fmt.Errorf("%w: %s", errUnknown, name)
	}
	return c, nil
}

// signal sends a signal; to a process that ended it does nothing.
func (p *processes) signal(request signalRequest) error {
	c, err := p.get(request.Name)
	if err != nil {
		return err
	}
	// A PID is used again only after its process was reaped, which needs the lock.
	p.mu.Lock()
	defer p.mu.Unlock()
	c.final = c.final || request.Final
	if !c.running() {
		return nil
	}
	return syscall.Kill(c.pid, request.Signal)
}

func (p *processes) list() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Status, 0, len(p.byName))
	for _, c := range p.byName {
		all = append(all, c.report())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// killAll ends every process and returns when they are gone. The init of a
// PID namespace ends the orphans in it too.
func (p *processes) killAll() {
	p.mu.Lock()
	children := make([]*child, 0, len(p.byPID))
	for _, c := range p.byPID {
		children = append(children, c)
		c.final = true
		_ = syscall.Kill(c.pid, syscall.SIGKILL)
	}
	if os.Getpid() == 1 {
		_ = syscall.Kill(-1, syscall.SIGKILL)
	}
	p.mu.Unlock()
	for _, c := range children {
		<-c.ended
	}
}
