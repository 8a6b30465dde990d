package joblogs

import (
	"bytes"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/logtext"
)

// longestStamp is the length of the longest timestamp that starts a line, with
// nanoseconds and an offset; shortestStamp that of one with neither.
const (
	longestStamp  = len("2006-01-02T15:04:05.000000000+07:00")
	shortestStamp = len("2006-01-02T15:04:05Z")
	// stampBuffer is more than a timestamp takes.
	stampBuffer = 64
)

// stamp is when a line was written, in nanoseconds since 1970, by the clock of
// its node; 0 where that is not told.
type stamp int64

// cutStamp splits a line that starts with a timestamp and a space, as the kubelet
// sends it with timestamps=true. decided is false where line is too short to tell.
func cutStamp(line []byte) (at stamp, text []byte, decided bool) {
	space := bytes.IndexByte(line[:min(len(line), longestStamp+1)], ' ')
	if space < 0 {
		tooLong := len(line) > longestStamp || bytes.IndexByte(line, '\n') >= 0
		return 0, line, tooLong
	}
	if space < shortestStamp {
		return 0, line, true
	}
	written, err := time.Parse(time.RFC3339Nano, string(line[:space]))
	if err != nil {
		return 0, line, true
	}
	return stamp(written.UnixNano()), line[space+1:], true
}

// time returns the stamp as a time; zero for 0.
func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(s)).UTC()
}

// FirstLine returns when the first line of a log was written that can be read, zero if
// it has none. known is false if it could not be read.
func (r *Reader) FirstLine(ctx context.Context, log Log) (first time.Time, known bool) {
	limit := int64(stampBuffer)
	at, known := r.lineStamp(ctx, log.task, corev1.PodLogOptions{LimitBytes: &limit})
	return at.time(), known
}

// lineStamp returns when the first line was written of what opts select, 0 if there is
// none. known is false if it could not be read.
func (r *Reader) lineStamp(ctx context.Context, t *task, opts corev1.PodLogOptions) (at stamp, known bool) {
	opts.Timestamps = true
	line := logtext.NewBuffer(2 * stampBuffer)
	if err := r.stream(ctx, t, opts, line); err != nil {
		return 0, false
	}
	at, _, _ = cutStamp(line.Head())
	return at, at > 0 || line.Seen() == 0
}

// lines takes a log line by line, in pieces as they come: begin, text any number
// of times, and end with its newline. A line of which the end did not come yet
// may stay without one.
type lines interface {
	begin(at stamp)
	text(p []byte)
	end()
}

// splitter takes the timestamps off the lines of one stream.
//
// The kubelet writes one before each line: for a line that the container runtime
// has cut into pieces (CRI's tag P, from 16 KiB on), before the first piece alone,
// and before a later piece only where that is the first that it sends. So a line
// without a timestamp is either the rest of one whose beginning was not asked for,
// at the start of the stream, or not of the log: the kubelet's error, at the end,
// which has no newline.
type splitter struct {
	to lines
	// undecided is the start of a line that may be a timestamp, or all that there
	// is of a line without one.
	undecided []byte
	inLine    bool
}

// Write implements io.Writer. It never fails.
func (s *splitter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		line := p
		if end := bytes.IndexByte(p, '\n'); end >= 0 {
			line = p[:end+1]
		}
		p = p[len(line):]
		s.add(line)
	}
	return written, nil
}

// add takes a piece of one line.
func (s *splitter) add(piece []byte) {
	if !s.inLine {
		if len(s.undecided) > 0 {
			s.undecided = append(s.undecided, piece...)
			piece = s.undecided
		}
		at, text, decided := cutStamp(piece)
		whole := piece[len(piece)-1] == '\n'
		if !decided || at == 0 && !whole && len(piece) <= maxErrorText {
			s.undecided = append(s.undecided[:0], piece...)
			return
		}
		s.to.begin(at)
		s.inLine, piece, s.undecided = true, text, s.undecided[:0]
	}
	text, whole := bytes.CutSuffix(piece, newline)
	if len(text) > 0 {
		s.to.text(text)
	}
	if whole {
		s.to.end()
		s.inLine = false
	}
}

// rest returns what came at the end that is not of the log: the kubelet's error,
// or a part of a timestamp.
func (s *splitter) rest() string { return string(s.undecided) }

// maxErrorText is more than the kubelet's errors have, in bytes.
const maxErrorText = 4 << 10

var newline = []byte{'\n'}
