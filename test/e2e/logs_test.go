package e2e

import (
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
)

// binaryOutput: whatever bytes a program writes, the log is text that steers
// no terminal, and nothing of it is lost.
func binaryOutput(s *story) {
	s.optedIn()
	job := s.start(s.job("colourful", `printf '\033[31mred\033[0m and \000\377 and caf\303\251\n';`+
		` printf 'half\rwhole\r\n\tindented\n'; printf 'no end of line'`))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements(lines(
		`\x1b[31mred\x1b[0m and \x00\xff and café`,
		`half\rwhole`,
		"\tindented",
		"no end of line",
	)))
}

const (
	// 2 MiB, twice of what fits as text.
	largeLines = 32 << 10
	lineSize   = 64
)

// largeLog: a log larger than an object may be is there compressed, all of it; as
// text there are head and tail around a line that says exactly what was left out.
func largeLog(s *story) {
	s.optedIn()
	job := s.start(s.job("talkative", fmt.Sprintf(
		`awk 'BEGIN { for (i = 1; i <= %d; i++) printf "%%07d %%055d\n", i, 0 }'`, largeLines)))

	s.gone(job)
	r := s.stored(job)
	s.Expect(r.record.Capture.Complete).To(BeTrue(), r.record.Capture.Why)
	size, err := strconv.Atoi(r.Annotations[api.BytesAnnotation])
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(size).To(BeNumerically(">", api.MaxResultsBytes*9/10))

	logs := r.texts()
	s.Expect(logs).To(HaveLen(1))
	head, rest, marked := strings.Cut(logs[0], "[job-handler: ")
	s.Expect(marked).To(BeTrue())
	marker, tail, _ := strings.Cut(rest, "\n")
	headLines, tailLines := len(head)/lineSize, len(tail)/lineSize
	s.Expect(head).To(Equal(numbered(1, headLines)))
	s.Expect(tail).To(Equal(numbered(largeLines-tailLines+1, largeLines)))
	omitted := int64(largeLines - headLines - tailLines)
	s.Expect(marker).To(Equal(fmt.Sprintf("%s in %s left out here]",
		logtext.Count(omitted*lineSize, "byte"), logtext.Count(omitted, "line"))))

	capture := r.record.Pods[0].Containers[0].Capture
	s.Expect(capture.BytesSeen).To(BeEquivalentTo(largeLines * lineSize))
	s.Expect(capture.BytesKept).To(Equal(capture.BytesSeen))
	s.Expect(capture.Exact).NotTo(BeNil())
	s.Expect(headLines).To(BeNumerically(">", 1000))
	s.Expect(tailLines).To(BeNumerically(">", 1000))
}

// numbered returns the lines of the large log from one number to another.
func numbered(from, to int) string {
	var text strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&text, "%07d %055d\n", i, 0)
	}
	return text.String()
}
