package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/jobtest"
)

// node is a LogStreamer that has the logs of containers, by pod and container,
// as they are written.
type node struct {
	mu   sync.Mutex
	logs map[string]*written
	// lost is the name of the node once that is gone, and with it all streams.
	lost string
	// gone are the pods of which nothing can be read any more.
	gone map[string]bool
	// away is true while the kubelet does not answer.
	away bool
	// cut are how many bytes of a followed log are sent before its stream ends,
	// once for each number.
	cut map[string][]int
	// hung are the logs of which the next stream that is opened never ends.
	hung map[string]bool
	// open and most are the numbers of streams, followed their requests.
	open, most int
	followed   []string
}

// written is a log that grows until it ends.
type written struct {
	text  string
	ended bool
	more  chan struct{}
	// streams are those that are open.
	streams []*stream
}

func newNode() *node {
	return &node{logs: map[string]*written{}, gone: map[string]bool{}, cut: map[string][]int{}, hung: map[string]bool{}}
}

// write adds to the log of a container.
func (n *node) write(name, text string) { n.change(name, func(w *written) { w.text += text }) }

// end ends the log of a container.
func (n *node) end(name string) { n.change(name, func(w *written) { w.ended = true }) }

func (n *node) change(name string, change func(*written)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.log(name)
	change(w)
	close(w.more)
	w.more = make(chan struct{})
}

// abort ends the streams of a log that are open with err, and what they did not send
// does not come any more.
func (n *node) abort(name string, err error) {
	n.change(name, func(w *written) {
		for _, s := range w.streams {
			s.aborted = err
		}
		w.streams = nil
	})
}

// mute has the streams of a log that are open send nothing until they end.
func (n *node) mute(name string) {
	n.change(name, func(w *written) {
		for _, s := range w.streams {
			s.muted = true
		}
	})
}

func (n *node) log(name string) *written {
	if n.logs[name] == nil {
		n.logs[name] = &written{more: make(chan struct{})}
	}
	return n.logs[name]
}

func (n *node) remove(pod string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone[pod] = true
}

// requests returns how many streams were opened.
func (n *node) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.followed)
}

// lose takes the node away: streams break off, and no others are opened.
func (n *node) lose(name string) {
	n.mu.Lock()
	n.lost = name
	logs := slices.Collect(maps.Keys(n.logs))
	n.mu.Unlock()
	for _, log := range logs {
		n.change(log, func(*written) {})
	}
}

// leave has the kubelet answer nothing until it is back.
func (n *node) leave(away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = away
}

// hang has the next stream of a log not end by itself.
func (n *node) hang(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hung[name] = true
}

// OpenLog implements joblogs.LogStreamer.
func (n *node) OpenLog(ctx context.Context, _, pod string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost != "" {
		return nil, apierrors.NewNotFound(corev1.Resource("nodes"), n.lost)
	}
	if n.gone[pod] {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), pod)
	}
	if n.away {
		return nil, apierrors.NewInternalError(errors.New("dial tcp 10.0.0.1:10250: connect: connection refused"))
	}
	name := pod + "/" + opts.Container
	if opts.Previous {
		name += "/previous"
	}
	if !opts.Follow {
		return io.NopCloser(strings.NewReader(n.log(name).text)), nil
	}
	n.followed = append(n.followed, name)
	n.open++
	n.most = max(n.most, n.open)
	s := &stream{node: n, done: ctx.Done(), name: name, until: -1}
	s.hangs = n.hung[name]
	delete(n.hung, name)
	if cuts := n.cut[name]; len(cuts) > 0 {
		s.until, n.cut[name] = cuts[0], cuts[1:]
	}
	w := n.log(name)
	w.streams = append(w.streams, s)
	return s, nil
}

type stream struct {
	node *node
	done <-chan struct{}
	name string
	// sent is how much of the text was, and next what is sent next, with its
	// timestamps.
	sent    int
	next    []byte
	stamper jobtest.Stamper
	// hangs is true if it does not end with the log.
	hangs bool
	// until is where the stream ends; -1: with the log.
	until int
	// aborted is with what it was ended, muted is true if it sends nothing more.
	aborted error
	muted   bool
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		s.node.mu.Lock()
		w := s.node.log(s.name)
		text, ended, more, lost := w.text, w.ended, w.more, s.node.lost != ""
		aborted, muted := s.aborted, s.muted
		s.node.mu.Unlock()
		if aborted != nil {
			return 0, aborted
		}
		if muted {
			text, ended = text[:s.sent], false
		}
		if lost {
			return 0, io.ErrUnexpectedEOF
		}
		if s.until >= 0 && len(text) >= s.until {
			text, ended = text[:s.until], true
		}
		if len(s.next) == 0 && s.sent < len(text) {
			piece := text[s.sent:min(len(text), s.sent+len(p)/2)]
			s.sent += len(piece)
			s.next = s.stamper.Append(s.next, piece)
		}
		if len(s.next) > 0 {
			size := copy(p, s.next)
			s.next = s.next[size:]
			return size, nil
		}
		if ended && !s.hangs {
			return 0, io.EOF
		}
		select {
		case <-more:
		case <-s.done:
			return 0, context.Canceled
		}
	}
}

func (s *stream) Close() error {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.node.open--
	for _, w := range s.node.logs {
		w.streams = slices.DeleteFunc(w.streams, func(one *stream) bool { return one == s })
	}
	return nil
}

// name is the name of a pod among many.
func name(i int) string { return fmt.Sprintf("p%04d", i) }
