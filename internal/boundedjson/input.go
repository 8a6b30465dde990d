package boundedjson

import (
	"errors"
	"fmt"
	"io"
)

// bufferSize is how much input is read at once.
const bufferSize = 4 << 10

// input reads a source byte by byte, up to a limit.
type input struct {
	source io.Reader
	// got is how many bytes came from source, size how many may.
	got, size int64
	buffer    []byte
	at        int
}

// Consumed returns how many bytes were read, which may be more than what was decoded.
func (in *input) Consumed() int64 { return in.got }

// peekByte returns the next byte, and leaves it there. Its error is io.EOF as it is
// where there is none.
func (in *input) peekByte() (byte, error) {
	for in.at == len(in.buffer) {
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	return in.buffer[in.at], nil
}

// next passes over a byte that was peeked at.
func (in *input) next() { in.at++ }

// read returns the next byte.
func (in *input) read() (byte, error) {
	c, err := in.peekByte()
	in.at++
	return c, err
}

// peek returns the next byte that is no space, and leaves it there.
func (in *input) peek() (byte, error) {
	for {
		c, err := in.peekByte()
		if err != nil || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, err
		}
		in.next()
	}
}

// fill reads the next part of the source.
func (in *input) fill() error {
	if cap(in.buffer) == 0 {
		in.buffer = make([]byte, 0, min(bufferSize, in.size+1))
	}
	n, err := in.source.Read(in.buffer[:cap(in.buffer)])
	in.buffer, in.at = in.buffer[:n], 0
	in.got += int64(n)
	switch {
	case in.got > in.size:
		return fmt.Errorf("%w: it is too long", ErrLimit)
	case n > 0:
		// The source says again what was wrong.
		return nil
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("reading: %w", err)
	default:
		return nil
	}
}
