package joblogs

import (
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
)

// sink takes a log as it is read: redacted, what is kept of it; and as it came,
// its end, with which it is found out whether that was all of the log.
type sink struct {
	text     *logtext.Buffer
	raw      *logtext.Buffer
	redactor *redact.Writer
}

func newSink(capacity int, rules *redact.Set) *sink {
	text := logtext.NewBuffer(capacity)
	return &sink{text: text, raw: logtext.NewBuffer(verifyBuffer), redactor: rules.Writer(text)}
}

// Write implements io.Writer; it never fails, since a Buffer does not.
func (s *sink) Write(p []byte) (int, error) {
	_, _ = s.raw.Write(p)
	return s.redactor.Write(p)
}

// close brings what redaction has held back into text.
func (s *sink) close() { _ = s.redactor.Close() }

// kept returns text, nil if it is empty.
func (s *sink) kept() *logtext.Buffer {
	if s.text.Seen() == 0 {
		return nil
	}
	return s.text
}

// dropEnd takes the last bytes off text, or leaves it as it is where it is not
// kept whole: then the capture alone tells of them.
func (s *sink) dropEnd(size int) {
	if !s.text.Whole() || size > s.text.Kept() {
		return
	}
	cut := logtext.NewBuffer(s.text.Capacity())
	// A Buffer never fails.
	_, _ = cut.Write(s.text.Head()[:s.text.Kept()-size])
	s.text = cut
}
