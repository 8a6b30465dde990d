package results

import "fmt"

// Reading is what is known of one of two readings of one log.
type Reading struct {
	// Seen is how many bytes of the log were read, Kept how many of them are at hand.
	Seen, Kept int64
	Capture    Capture
}

// Better returns which of two readings of one log to keep, b where second is true,
// and what may be said of it. Neither needs to be the later one: the kubelet rotates a
// log, so that a later reading may have less of it and look complete.
//
//   - A complete reading that saw more than the other one is kept.
//   - Else the one is kept of which more is at hand. Where that is the same, it is the
//     one that saw more, then the complete one, then a.
//   - What is kept is never called complete where the other one saw more. It is
//     complete where the other one saw the same bytes and their end.
//   - It is not worth reading again where the other one saw the end of the log.
func Better(a, b Reading) (second bool, capture Capture) {
	kept, other := a, b
	if second = b.better(a); second {
		kept, other = b, a
	}
	capture = kept.Capture
	switch whole := other.Capture.Complete; {
	case capture.Complete && kept.Seen < other.Seen && other.Capture.Reason == ReasonCaptureLost:
		return second, other.Capture
	case capture.Complete && kept.Seen < other.Seen:
		return second, Capture{
			Reason: ReasonRotatedHead, Message: fmt.Sprintf("an earlier read brought %d bytes of the log, more than the last one", other.Seen),
		}
	case !capture.Complete && whole && kept.Seen == other.Seen:
		return second, other.Capture
	case !capture.Complete && whole:
		capture.Retryable = false
	}
	return second, capture
}

// better reports whether r is to be kept rather than other.
func (r Reading) better(other Reading) bool {
	switch {
	case r.Seen != other.Seen && r.whole(other) != other.whole(r):
		return r.whole(other)
	case r.Kept != other.Kept:
		return r.Kept > other.Kept
	case r.Seen != other.Seen:
		return r.Seen > other.Seen
	default:
		return r.Capture.Complete && !other.Capture.Complete
	}
}

// whole reports whether nothing that other saw is missing in r, but what had to be
// left out in its middle.
func (r Reading) whole(other Reading) bool {
	return r.Capture.Complete && r.Seen >= other.Seen && r.Kept > 0
}

// BetterLog returns what to keep of two readings of one log, as Better does.
func BetterLog(a, b ContainerLog) ContainerLog {
	second, capture := Better(a.reading(), b.reading())
	if second {
		a = b
	}
	a.Capture = capture
	return a
}

func (l *ContainerLog) reading() Reading {
	r := Reading{Capture: l.Capture}
	if l.Text != nil {
		r.Seen, r.Kept = l.Text.Seen(), int64(l.Text.Kept())
	}
	if l.Packed != nil {
		r.Kept = l.Packed.Excerpt().Kept()
	}
	return r
}
