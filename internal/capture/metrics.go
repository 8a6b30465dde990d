package capture

// Metrics count the logs that are followed, or are to be. Its methods are called
// with locks held.
type Metrics interface {
	// Following and Waiting add to how many are followed, and wait for their turn.
	Following(more int)
	Waiting(more int)
	// GaveUp counts a stream that was closed for another log to be followed, and
	// Parked adds to how many logs wait for a stream since then.
	GaveUp()
	Parked(more int)
	// FellBack counts one that did not get its turn in time.
	FellBack()
	// Reconnected counts a stream that was opened since another one broke off.
	Reconnected()
}

// unmeasured are Metrics that tell nobody.
type unmeasured struct{}

func (unmeasured) Following(int) {}
func (unmeasured) Waiting(int)   {}
func (unmeasured) GaveUp()       {}
func (unmeasured) Parked(int)    {}
func (unmeasured) FellBack()     {}
func (unmeasured) Reconnected()  {}
