package leftovers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Remove removes everything that the record tells of, and at last the record.
// It returns a phrase for each thing that it removed. What fails does not keep
// it from the rest, and stays in the record, so that it can be called again.
func Remove(ctx context.Context, r Record) ([]string, error) {
	var removed []string
	var failures []error
	for _, step := range []func(context.Context, Record) ([]string, error){
		removeCgroups, removeLinks, removeChains, removeFolders, restoreSettings,
	} {
		done, err := step(ctx, r)
		removed = append(removed, done...)
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return removed, fmt.Errorf("removing what the node left: %w", err)
	}
	if err := os.Remove(RecordPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return removed, err
	}
	return removed, nil
}

// removeFolders removes those that are empty: the node's own view of them was
// mounted over them, and what anybody else put there is not ours.
func removeFolders(_ context.Context, r Record) ([]string, error) {
	var removed []string
	for _, path := range slices.Backward(r.Folders) {
		if err := os.Remove(path); err == nil {
			removed = append(removed, "folder "+path)
		}
	}
	return removed, nil
}
