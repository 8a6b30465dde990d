package logpack

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// Level is how logs are compressed. Of a core it takes half of what the default
	// level does, and less than level 3, for text logs that are 5% larger, and 0.5%.
	Level = 2
	// poorPercent is from which part of its text on, in percent, a piece counts as
	// badly compressed: Level gives up on text without repetitions, such as hex or
	// base64, in which the alphabet alone saves a half or a quarter.
	poorPercent = 70
)

// packer compresses one text after the other.
type packer struct {
	// byRepetition and byAlphabet are two ways, of which the better one counts.
	byRepetition, byAlphabet *gzip.Writer
	out, other               bytes.Buffer
}

// packers holds *packer: a new one allocates about 1 MB.
var packers sync.Pool

func newPacker() *packer {
	// The levels are some of those that there are.
	byRepetition, _ := gzip.NewWriterLevel(nil, Level)
	byAlphabet, _ := gzip.NewWriterLevel(nil, gzip.HuffmanOnly)
	return &packer{byRepetition: byRepetition, byAlphabet: byAlphabet}
}

// withPacked calls use with text as a gzip file, which is valid until use
// returns.
func withPacked(text []byte, use func(packed []byte)) {
	p, pooled := packers.Get().(*packer)
	if !pooled {
		p = newPacker()
	}
	defer packers.Put(p)
	packed := pack(p.byRepetition, &p.out, text)
	if len(packed) > len(text)*poorPercent/100 {
		if other := pack(p.byAlphabet, &p.other, text); len(other) < len(packed) {
			packed = other
		}
	}
	use(packed)
}

func pack(writer *gzip.Writer, out *bytes.Buffer, text []byte) []byte {
	out.Reset()
	writer.Reset(out)
	// A bytes.Buffer never fails.
	_, _ = writer.Write(text)
	_ = writer.Close()
	return out.Bytes()
}
