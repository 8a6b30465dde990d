package capture

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/results"
)

// Of a complete log of which a batch has no room for all, it says why; a log that
// has room stays as it is. In memory nothing changes.
func TestShortLogsSayWhy(t *testing.T) {
	random := make([]byte, 200<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	long, brief := string(random), strings.Repeat("brief\n", 100)
	short := results.Capture{Reason: results.ReasonNamespaceBudget, Message: "little was saved"}
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		capture(ctx, n, c, "long", long)
		capture(ctx, n, c, "brief", brief)
		b := mustPack(t, c, PackOptions{MaxBytes: 64 << 10, MaxPodBytes: 4 << 10, Short: short})
		defer b.Release()
		if b.Pods != 2 || b.Bytes > 8<<10 {
			t.Errorf("%d pods in %d bytes", b.Pods, b.Bytes)
		}
		got := restoredOf(t, b.Values)
		if l := got[0][0]; l.Capture != short || len(l.Text) < 2<<10 || len(l.Text) > 4<<10 {
			t.Errorf("of the long log %d bytes, %+v", len(l.Text), l.Capture)
		}
		if l := got[1][0]; !l.Capture.Complete || l.Text != brief {
			t.Errorf("of the brief log %d bytes, %+v", len(l.Text), l.Capture)
		}
		b.Stored()
		here, release := c.Of(job)
		defer release()
		if l := keptIn(here, nil)[0][0]; !l.Capture.Complete || l.Text != long {
			t.Errorf("in memory %d bytes, %+v", len(l.Text), l.Capture)
		}
	})
}
