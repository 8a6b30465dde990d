package results

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
