package resultsview

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/results"
)

// maxText bounds what logs.gz is decompressed to, in bytes: it may have been
// made to fill memory.
const maxText = 1 << 30

// PartError says that a part of the logs cannot be read.
type PartError struct {
	// Name is that of the part, Number which one it is of Parts, from 1.
	Name          string
	Number, Parts int
	// Err is why: that of the API server, or one that wraps results.ErrDamaged.
	Err error
}

// Error implements error.
func (e *PartError) Error() string {
	return fmt.Sprintf("part %d of %d of the logs, %s: %v", e.Number, e.Parts, e.Name, e.Err)
}

// Unwrap returns why.
func (e *PartError) Unwrap() error { return e.Err }

// text returns what the offsets of job.json are about, and whether it was
// compressed. With a *PartError it is what comes before that part.
func (r *Run) text(ctx context.Context, fetch Fetch) (text []byte, compressed bool, err error) {
	packed, there := r.BinaryData[api.DataLogsGzip]
	list, err := r.Parts()
	switch {
	case err != nil:
		return nil, false, err
	case len(list.Parts) == 0 && !there:
		return []byte(r.Data[api.DataLogs]), false, nil
	case len(list.Parts) == 0:
		text, err = unpack(bytes.NewReader(packed))
		return text, true, err
	}
	joined := &parts{run: r, list: list, sum: sha256.New(), fetch: func(name string) (*results.Object, error) { return fetch(ctx, name) }}
	text, err = unpack(joined)
	if err == nil {
		err = joined.check()
	}
	return text, true, err
}

// unpack returns what could be decompressed, with what went wrong.
func unpack(packed io.Reader) ([]byte, error) {
	text, err := logpack.Unpack(packed, maxText)
	var part *PartError
	switch {
	case errors.As(err, &part):
		return text, part
	case err != nil:
		return nil, fmt.Errorf("%w: reading %s: %w", results.ErrDamaged, api.DataLogsGzip, err)
	default:
		return text, nil
	}
}
