package resultsview

import (
	"context"
	"fmt"

	"github.com/job-handler/job-handler/internal/results"
)

// Fetch returns the object of this name, of the kind and in the namespace that
// it is for. Everything that Open reads comes by it.
type Fetch func(ctx context.Context, name string) (*results.Object, error)

// Open returns the results in the object of this name. The error is that of
// fetch, or wraps results.ErrStranger where the object is not one of Job
// Handler, or results.ErrDamaged where it is not whole.
func Open(ctx context.Context, name string, fetch Fetch) (*Run, error) {
	object, err := fetch(ctx, name)
	if err != nil {
		return nil, err
	}
	run, err := Parse(object)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", object, err)
	}
	return run, nil
}
