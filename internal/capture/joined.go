package capture

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/logtext"
)

// joined returns one Buffer of what is kept of a head and of a tail, with a gap
// between them; where that is empty there is no tail.
func joined(head, tail *logtext.Buffer, gap logtext.Gap) *logtext.Buffer {
	if gap.Bytes == 0 {
		return head
	}
	before := head.Gap().Append(head.Tail()).Join(gap)
	if tail.Whole() {
		return logtext.Restore(head.Head(), tail.Head(), before)
	}
	return logtext.Restore(head.Head(), tail.Tail(), before.Append(tail.Head()).Join(tail.Gap()))
}

// compress returns the text as a gzip file.
func compress(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.DefaultCompression)
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if _, err := writer.Write(text); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return packed.Bytes(), nil
}
