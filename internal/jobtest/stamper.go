package jobtest

import (
	"strings"
	"time"
)

// Stamper puts timestamps before the lines of a log as the kubelet does, a
// microsecond apart. The zero value is for the beginning of a log.
type Stamper struct {
	lines  int
	inLine bool
}

// Append appends piece, which follows upon what was appended before, to dst.
func (s *Stamper) Append(dst []byte, piece string) []byte {
	const stamp = "2006-01-02T15:04:05.000000000Z07:00 "
	for line := range strings.Lines(piece) {
		if !s.inLine {
			at := time.Unix(1_800_000_000, int64(s.lines)*int64(time.Microsecond)).UTC()
			dst = at.AppendFormat(dst, stamp)
			s.lines++
		}
		dst = append(dst, line...)
		s.inLine = !strings.HasSuffix(line, "\n")
	}
	return dst
}
