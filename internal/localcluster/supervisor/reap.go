package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// reapUntil collects ended processes until done is closed.
func (p *processes) reapUntil(done <-chan struct{}) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		p.reap()
		select {
		case <-ended:
		case <-done:
			return
		}
	}
}

func (p *processes) reap() {
	// signal holds the lock too: the PID of a running process is its own meanwhile.
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if c := p.byPID[pid]; c != nil {
			delete(p.byPID, pid)
			c.status = status
			close(c.ended)
			p.restart(c)
		}
	}
}

// restartDelay is long enough for a start that looks at its programs to see
// that one ended.
const restartDelay = time.Second

// restart starts an ended process again if it did not end on demand.
func (p *processes) restart(c *child) {
	if !c.process.Restart || c.final {
		return
	}
	fmt.Fprintf(p.log, "%s %s %s, starting it again\n", time.Now().Format(time.RFC3339), c.process.Name, describeExit(c.status))
	time.AfterFunc(restartDelay, func() {
		p.mu.Lock()
		wanted := p.byName[c.process.Name] == c && !c.final
		p.mu.Unlock()
		if wanted {
			_ = p.start(c.process)
		}
	})
}
