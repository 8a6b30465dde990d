package results

// rooms are what logs may take, in bytes.
type rooms struct {
	// object is for logs and logs.gz in the object itself, all for them with parts
	// of logs.gz in other objects.
	object, all int
}

// whole returns the most that logs.gz may take where that keeps it whole. It comes
// first: the readable text gets what is left.
func (r rooms) whole() int { return r.archive(min(leastPreview, r.object/previewShare)) }

// shortened returns the most that logs.gz may take where not all of the logs fits.
func (r rooms) shortened() int { return r.archive(min(previewBytes, r.object/previewShare)) }

// archive returns the most that logs.gz may take beside so much readable text: in
// the object, or in parts where these have more room.
func (r rooms) archive(text int) int {
	return max(r.object, r.all-partsListing) - text
}

// text returns what the readable text may take beside a logs.gz of so many bytes,
// and whether logs.gz is in parts then.
func (r rooms) text(archive int) (room int, parts bool) {
	inline := r.object - archive
	beside := min(r.object, r.all-archive) - partsListing
	if archive <= r.object*inlinePercent/100 || inline >= beside {
		return inline, false
	}
	return beside, true
}

// rooms returns what logs may take where an object has room for object bytes of
// them: that and the parts, or no more than the run's MaxLogBytes.
func (run *Run) rooms(object int) rooms {
	if run.MaxLogBytes > 0 {
		least := min(object, run.MaxLogBytes)
		return rooms{object: least, all: least}
	}
	return rooms{object: object, all: object + run.total() - run.limit()}
}

// shortReason returns why a log that was read whole is not kept whole.
func (run *Run) shortReason() string {
	switch {
	case run.MaxLogBytes <= 0:
		return ReasonShortenedToFit
	case run.MaxLogReason != "":
		return run.MaxLogReason
	default:
		return ReasonNamespaceBudget
	}
}
