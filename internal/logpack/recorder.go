package logpack

import (
	"bytes"

	"github.com/job-handler/job-handler/internal/logtext"
)

// Recorder is an io.Writer that keeps a log: its text as far as that fits, and all of it
// compressed besides, once it is told to. Whether there is memory for that is for its
// owner to decide, before what does not fit is written. It is for one goroutine.
type Recorder struct {
	Text *logtext.Buffer
	// Packed is the same log compressed, nil while it is not.
	Packed *Log
}

// MayPack reports whether the log can be compressed from now on: its text has all of it.
func (r *Recorder) MayPack() bool { return r.Packed == nil && r.Text.Whole() }

// Outgrows reports whether so many bytes more do not fit the text.
func (r *Recorder) Outgrows(more int) bool { return r.Text.Kept()+more > r.Text.Capacity() }

// Pack has the log, which MayPack, be compressed into l from now on.
func (r *Recorder) Pack(l *Log) {
	r.Packed = l
	// It never fails.
	_, _ = l.Write(r.Text.Head())
}

// Write implements io.Writer. It never fails.
func (r *Recorder) Write(p []byte) (int, error) {
	if r.Packed != nil {
		_, _ = r.Packed.Write(p)
	}
	return r.Text.Write(p)
}

// Longer returns the log compressed where its text does not have all of it, nil where it
// does, or where the log is not compressed.
func (r *Recorder) Longer() *Log {
	if r.Text.Whole() {
		return nil
	}
	return r.Packed
}

// Kept returns how many bytes of the log are kept.
func (r *Recorder) Kept() int64 {
	if longer := r.Longer(); longer != nil {
		return longer.Excerpt().Kept()
	}
	return int64(r.Text.Kept())
}

// CopyTo writes the most that is kept of the log to dst, with the gap in it. With an
// error, which is that what is compressed cannot be read, dst has a part of it.
func (r *Recorder) CopyTo(dst *Log) error {
	longer := r.Longer()
	if longer == nil {
		r.CopyText(dst)
		return nil
	}
	text := &Unpacker{}
	if err := text.Open(bytes.NewReader(bytes.Join(longer.Members(), nil))); err != nil {
		return err
	}
	defer text.Close()
	if err := text.Copy(dst, longer.Excerpt().HeadBytes); err != nil {
		return err
	}
	dst.Skip(longer.Gap())
	return text.Copy(dst, longer.Excerpt().TailBytes)
}

// CopyText is CopyTo of the text alone, which may have less of the log.
func (r *Recorder) CopyText(dst *Log) {
	// A Log never fails.
	_, _ = dst.Write(r.Text.Head())
	dst.Skip(r.Text.Gap())
	_, _ = dst.Write(r.Text.Tail())
}
