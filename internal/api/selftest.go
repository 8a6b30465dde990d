package api

// Keys of the manager's self-test: a Job that it creates in its own namespace
// in a dry run, and so never exists, to see whether the webhook stamps Jobs.
const (
	// SelfTestLabel is True on such a Job, and selects the webhook that is
	// called for it alone. The manager sets it.
	SelfTestLabel = Prefix + "self-test"
	// SelfTestAnnotation holds a random word, another one in each test. The
	// manager sets it.
	SelfTestAnnotation = Prefix + "self-test"
	// SelfTestAnswerAnnotation holds the word of SelfTestAnnotation once the
	// webhook has stamped the Job. The webhook alone sets it, so that no other
	// webhook's work, nor an earlier answer, can pass for its own.
	SelfTestAnswerAnnotation = Prefix + "self-test-answer"
)
