package joblogs

import (
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
)

// keeper keeps what is stored of a log of one Job, within the memory of the Job.
type keeper struct {
	logpack.Recorder
	memory *jobMemory
	// tailFirst is as for logpack.Pool.Open.
	tailFirst bool
}

// newKeeper returns a keeper of at most so many bytes of text.
func newKeeper(capacity int, memory *jobMemory, tailFirst bool) *keeper {
	return &keeper{Recorder: logpack.Recorder{Text: logtext.NewBuffer(capacity)}, memory: memory, tailFirst: tailFirst}
}

// Write implements io.Writer. It fails with errNoMemory only.
func (k *keeper) Write(p []byte) (int, error) {
	if k.Outgrows(len(p)) && k.MayPack() {
		if !k.memory.tryGrow() {
			return 0, errNoMemory
		}
		k.Pack(k.memory.pool.Open(k.tailFirst))
	}
	return k.Recorder.Write(p)
}

// close compresses the rest.
func (k *keeper) close() {
	if k.Packed != nil {
		_ = k.Packed.Close()
	}
}
