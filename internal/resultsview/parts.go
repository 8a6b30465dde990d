package resultsview

import (
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// parts reads a value that is divided over objects, one object at a time. Each
// is checked before a byte of it is returned.
type parts struct {
	fetch func(name string) (*results.Object, error)
	run   *Run
	list  *results.PartList
	// next is the part to fetch next, rest what is left of the one before it.
	next int
	rest []byte
	sum  hash.Hash
	err  error
}

// Read implements io.Reader. Its error, other than io.EOF, is a *PartError.
func (p *parts) Read(b []byte) (int, error) {
	for len(p.rest) == 0 && p.err == nil {
		p.err = p.fetchNext()
	}
	if p.err != nil {
		return 0, p.err
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *parts) fetchNext() error {
	if p.next == len(p.list.Parts) {
		return io.EOF
	}
	record := p.list.Parts[p.next]
	p.next++
	object, err := p.fetch(record.Name)
	if err == nil {
		err = p.verify(object, record)
	}
	if err != nil {
		return &PartError{Name: record.Name, Number: p.next, Parts: len(p.list.Parts), Err: err}
	}
	p.rest = object.BinaryData[api.DataLogsGzip]
	// A hash never fails.
	_, _ = p.sum.Write(p.rest)
	return nil
}

// verify returns nil if object is the part that the record is of.
func (p *parts) verify(object *results.Object, record results.PartRecord) error {
	if object.Labels[api.JobUIDLabel] != p.run.Job.UID || object.Labels[api.PartLabel] == "" {
		return fmt.Errorf("%w: it is no part of this run", results.ErrDamaged)
	}
	return record.Check(object.BinaryData[api.DataLogsGzip])
}

// check returns nil if all parts together are the value.
func (p *parts) check() error {
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.list.SHA256 || p.next < len(p.list.Parts) {
		return fmt.Errorf("%w: the SHA-256 of all parts is %s, not %q", results.ErrDamaged, got, p.list.SHA256)
	}
	return nil
}
