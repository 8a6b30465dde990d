package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/logtext"
)

// unpacked reads the text of gzip files, one after the other. The zero value has
// none; it may be opened again and again.
type unpacked struct {
	// reader is nil where there is no text.
	reader *gzip.Reader
	// spare is a reader that may be used again.
	spare *gzip.Reader
	// part is what is read at once.
	part []byte
	// read is how many bytes were copied, of all files.
	read int64
}

// unpack returns a reader of packed, which may be nothing.
func unpack(packed []byte) (*unpacked, error) {
	u := &unpacked{}
	err := u.open(packed)
	return u, err
}

// open has packed be read next, which may be nothing.
func (u *unpacked) open(packed []byte) error {
	if u.reader = nil; len(packed) == 0 {
		return nil
	}
	if u.spare == nil {
		u.spare, u.part = &gzip.Reader{}, make([]byte, 32<<10)
	}
	if err := u.spare.Reset(bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	u.reader = u.spare
	return nil
}

// copy copies exactly size bytes of the text to dst.
func (u *unpacked) copy(dst io.Writer, size int64) error {
	if size == 0 {
		return nil
	}
	if u.reader == nil {
		return fmt.Errorf("decompressing: %w", io.ErrUnexpectedEOF)
	}
	// Without the methods of the reader, which would read to the end.
	text := io.LimitReader(struct{ io.Reader }{u.reader}, size)
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, text, u.part)
	u.read += n
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	return nil
}

var errMore = errors.New("there is more than there should be")

// end returns an error unless all of the text was read, and is what was
// compressed.
func (u *unpacked) end() error {
	if u.reader == nil {
		return nil
	}
	n, err := u.reader.Read(u.part[:1])
	switch {
	case n > 0:
		return fmt.Errorf("decompressing: %w", errMore)
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("decompressing: %w", err)
	default:
		return u.end()
	}
}

func (u *unpacked) close() {
	if u.reader != nil {
		// It closes nothing that it reads from.
		_ = u.reader.Close()
	}
}

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
