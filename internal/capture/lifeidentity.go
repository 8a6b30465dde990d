package capture

import (
	"context"
	"time"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// identify waits until it is known whether a log that was read is the one of l, or that
// of a later instance. What a request brings is never that of an earlier one, so that
// these tell:
//
//   - the watch tells of the instance as before for as long as the kubelet may take to
//     tell of a later one, and the log begins before the instance's end, or nothing of its
//     pod changes any more;
//   - the log of the next instance is known, and its first line is a later one. Times of
//     lines are known to the nanosecond.
func (w lifeWorker) identify(ctx context.Context, got lifeText) lifeText {
	settled, again := w.c.clock.After(settles), false
	for {
		now := w.lifeNow()
		if now.isAskedOtherwise(got) && !again && now.identity(got) == joblogs.MayBe {
			got, again = w.readAgain(ctx, now, got), true
			settled = w.c.clock.After(settles)
			continue
		}
		if identity, known := w.told(ctx, &now, got); known {
			got.Identity = identity
			return got
		}
		select {
		case <-now.news:
		case <-settled:
			if now = w.lifeNow(); now.seems(got) {
				got.Identity = joblogs.Same
				return got
			}
			settled = nil
		case <-ctx.Done():
			return got
		}
	}
}

// told returns what is known now of whose log it is, if anything is, or will be.
func (w lifeWorker) told(ctx context.Context, now *lifeNow, got lifeText) (identity joblogs.Identity, known bool) {
	if identity = now.identity(got); identity != joblogs.MayBe {
		return identity, true
	}
	if now.last.Readable() {
		first, read := w.c.reader.FirstLine(ctx, now.last)
		if read && !got.First.IsZero() && (first.IsZero() || got.First.Before(first)) {
			return joblogs.Same, true
		}
		return joblogs.Other, true
	}
	return joblogs.Other, now.hopeless(got)
}

// readAgain reads the log again, since it is to be asked for in another way now. What was
// read before is kept where that begins with an earlier line: it is that of an earlier
// instance.
func (w lifeWorker) readAgain(ctx context.Context, now lifeNow, got lifeText) lifeText {
	none, cancel := context.WithCancel(ctx)
	cancel()
	if w.takeTurn(ctx, none) != nil {
		return got
	}
	defer w.giveTurn()
	again := w.readOnce(ctx, now)
	if again.Identity == joblogs.Other || !again.Capture.Complete || !got.First.IsZero() && again.First.After(got.First) {
		again.text.drop()
		return got
	}
	got.text.drop()
	return again
}

// lifeNow is what is known of an instance at a moment.
type lifeNow struct {
	// log is how to ask for its log.
	log  joblogs.Log
	span joblogs.Span
	// final is true once nothing of its pod changes any more, and news is closed when
	// something has.
	final bool
	news  <-chan struct{}
	// last is the log of the next instance, if that is the last one of a final pod.
	last joblogs.Log
	// next is the log of the next instance that is read, nil if none is. nextFirst is when
	// its first line was written; zero if there is none, or nextKnown is false.
	next      *followedLog
	nextFirst time.Time
	nextKnown bool
	// nextDone is true if nothing more will be known of it.
	nextDone bool
}

func (w lifeWorker) lifeNow() lifeNow {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	p := w.log.pod
	now := lifeNow{log: w.log.latest, span: w.log.span, final: isFinal(p.object) || p.gone && allEnded(p.object), news: w.log.news}
	if p.gone && !now.final {
		// Nobody tells of its containers any more.
		now.log = joblogs.Log{}
	}
	if now.next = p.next(w.log); now.next != nil {
		now.nextFirst, now.nextKnown = now.next.firstLine()
		now.nextDone = !now.next.active()
	} else if now.final && !p.gone {
		now.last = p.lastAfter(w.log)
	}
	return now
}

// wakeLife has who waits for what is known of the next instance look again.
func (l *followedLog) wakeLife() {
	if l.ofLife && l.active() {
		l.wake()
	}
}

// next returns the log of the instance after the one of l that is kept, nil if none is.
func (p *pod) next(l *followedLog) *followedLog {
	for _, other := range p.logs {
		if other.container == l.container && l.restart != results.UnknownRestart && other.restart == l.restart+1 {
			return other
		}
	}
	return nil
}

// lastAfter returns the log of the last instance of l's container, if that is the one
// after l and can be read.
func (p *pod) lastAfter(l *followedLog) joblogs.Log {
	for _, c := range results.Containers(p.object) {
		if c.Name != l.container || c.Status == nil || l.restart == results.UnknownRestart || c.Status.RestartCount != l.restart+1 {
			continue
		}
		for _, log := range joblogs.LogsOf(p.object) {
			if log.Container == l.container && !log.Previous && log.Ended && log.InstanceID != "" {
				return log
			}
		}
	}
	return joblogs.Log{}
}

// firstLine returns when the first line of the log was written, zero if it has none, if
// that is known.
func (l *followedLog) firstLine() (first time.Time, known bool) {
	switch {
	case l.following == nil:
		return l.first, l.sure
	case l.ofLife:
		return time.Time{}, false
	default:
		first = l.following.From()
		return first, !first.IsZero() || l.capture.Complete
	}
}

// identity tells whether what was read is the log of the instance.
func (n *lifeNow) identity(got lifeText) joblogs.Identity {
	switch {
	case n.final && n.log.Readable() && n.log.Previous == got.previous:
		return joblogs.Same
	case got.First.IsZero() || !n.nextKnown || n.nextFirst.IsZero():
		return n.span.Identify(got.First)
	case got.First.Before(n.nextFirst):
		return joblogs.Same
	default:
		return joblogs.Other
	}
}

// seems reports whether a log is taken for that of the instance since no restart was told
// of for a while. A busy kubelet may take longer: a line from after the instance's end is
// more likely one of the next instance then, and to a log without lines that one may write
// later.
func (n *lifeNow) seems(got lifeText) bool {
	return n.log.Readable() && !n.isAskedOtherwise(got) && !got.First.IsZero() && n.span.ByItsEnd(got.First)
}

// isAskedOtherwise reports whether the log is there, and to be asked for in another way
// than it was.
func (n *lifeNow) isAskedOtherwise(got lifeText) bool {
	return n.log.Readable() && n.log.Previous != got.previous
}

// hopeless reports whether nothing will tell whose log it is.
func (n *lifeNow) hopeless(got lifeText) bool {
	return !n.log.Readable() && (got.First.IsZero() || n.next == nil || n.nextDone)
}
