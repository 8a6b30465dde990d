package joblogs

import (
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

// keeper keeps what is stored of a log: its text as far as that fits, and all of
// it compressed once it does not.
type keeper struct {
	text   *logtext.Buffer
	packed *logpack.Log
	memory *jobMemory
	// tailFirst is as for logpack.Pool.Open.
	tailFirst bool
}

// Write implements io.Writer. It fails with errNoMemory only.
func (k *keeper) Write(p []byte) (int, error) {
	if k.packed == nil && k.text.Whole() && k.text.Kept()+len(p) > k.text.Capacity() {
		if !k.memory.tryGrow() {
			return 0, errNoMemory
		}
		k.packed = k.memory.pool.Open(k.tailFirst)
		// It never fails.
		_, _ = k.packed.Write(k.text.Head())
	}
	if k.packed != nil {
		_, _ = k.packed.Write(p)
	}
	return k.text.Write(p)
}

// close compresses the rest.
func (k *keeper) close() {
	if k.packed != nil {
		_ = k.packed.Close()
	}
}
