package joblogs

import (
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
)

// sink takes a log as it is read: redacted, what is kept of it; and as it came,
// its end, with which it is found out whether that was all of the log.
type sink struct {
	keeper   *keeper
	raw      *logtext.Buffer
	redactor *redact.Writer
}

func newSink(into *keeper, rules *redact.Set) *sink {
	return &sink{keeper: into, raw: logtext.NewBuffer(verifyBuffer), redactor: rules.Writer(into)}
}

// Write implements io.Writer. It fails with errNoMemory only.
func (s *sink) Write(p []byte) (int, error) {
	_, _ = s.raw.Write(p)
	return s.redactor.Write(p)
}

// close brings what redaction has held back to what is kept. The error is
// errNoMemory only.
func (s *sink) close() error {
	err := s.redactor.Close()
	s.keeper.close()
	return err
}

// kept returns what is kept of the log, nil if it is empty: its text and, where
// that does not have all of it, all of it compressed.
func (s *sink) kept() (*logtext.Buffer, *logpack.Log) {
	if s.keeper.Text.Seen() == 0 {
		return nil, nil
	}
	return s.keeper.Text, s.keeper.Packed
}

// dropEnd takes the last bytes off text, or leaves it as it is where it is not
// kept whole: then the capture alone tells of them.
func (s *sink) dropEnd(size int) {
	text := s.keeper.Text
	if !text.Whole() || size > text.Kept() {
		return
	}
	cut := logtext.NewBuffer(text.Capacity())
	// A Buffer never fails.
	_, _ = cut.Write(text.Head()[:text.Kept()-size])
	s.keeper.Text = cut
}
