package logpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// What is decompressed here may have been made to fill memory, so that a bound on its
// text always comes from elsewhere. One rule holds for all of it: gzip files in one
// piece are one text, each is checked by its own sum, and it is an error if there is
// more text than is asked for, if something that is no gzip file follows, or if a file
// breaks off.

// ErrMore is what is wrong with compressed text that is longer than it may be.
var ErrMore = errors.New("there is more than there should be")

// copyBytes is how much text is decompressed at once, in bytes.
const copyBytes = 32 << 10

// Unpack returns the text of packed, at most limit bytes. With an error it returns what
// came before that. Nothing is no gzip file.
func Unpack(packed io.Reader, limit int64) ([]byte, error) {
	var u Unpacker
	if err := u.Open(packed); err != nil {
		return nil, err
	}
	if !u.open {
		return nil, fmt.Errorf("decompressing: %w", io.ErrUnexpectedEOF)
	}
	defer u.Close()
	// With room for a byte more, in which the end is found.
	text := make([]byte, 0, min(limit, ChunkBytes)+1)
	for int64(len(text)) <= limit {
		if len(text) == cap(text) {
			text = append(make([]byte, 0, min(limit+1, 2*int64(cap(text)))), text...)
		}
		n, err := u.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF) && int64(len(text)) <= limit:
			return text, nil
		case err != nil && !errors.Is(err, io.EOF):
			return text, err
		}
	}
	return text[:limit], fmt.Errorf("decompressing: %w: more than %d bytes", ErrMore, limit)
}

// Unpacker reads the text of gzip files piece by piece. The zero value has none; it may
// be opened again and again, which uses its memory again.
type Unpacker struct {
	gzip *gzip.Reader
	// open is true while there is text.
	open bool
	// part is what is copied at once.
	part []byte
	read int64
}

// Open has the text of packed be read next. Of nothing there is no text.
func (u *Unpacker) Open(packed io.Reader) error {
	u.open = false
	if u.gzip == nil {
		u.gzip = &gzip.Reader{}
	}
	switch err := u.gzip.Reset(packed); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("decompressing: %w", err)
	}
	u.open = true
	return nil
}

// Read implements io.Reader.
func (u *Unpacker) Read(p []byte) (int, error) {
	if !u.open {
		return 0, io.EOF
	}
	n, err := u.gzip.Read(p)
	u.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("decompressing: %w", err)
	}
	return n, err
}

// Copy copies exactly size bytes of the text to dst.
func (u *Unpacker) Copy(dst io.Writer, size int64) error {
	if u.part == nil {
		u.part = make([]byte, copyBytes)
	}
	// Without the methods of dst, which may read to the end.
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.LimitReader(u, size), u.part)
	if err == nil && n < size {
		err = fmt.Errorf("decompressing: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// End returns an error unless all of the text was read, and is what was compressed.
func (u *Unpacker) End() error {
	var one [1]byte
	for {
		n, err := u.Read(one[:])
		switch {
		case n > 0:
			return fmt.Errorf("decompressing: %w", ErrMore)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// BytesRead returns how many bytes of text were read, of all that was opened.
func (u *Unpacker) BytesRead() int64 { return u.read }

// Close ends the reading. It closes nothing that is read from.
func (u *Unpacker) Close() {
	if u.open {
		// It never fails: it has no source to close.
		_ = u.gzip.Close()
	}
	u.open = false
}
