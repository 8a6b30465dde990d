package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// smallLogs has the kubelet rotate a log whenever it has 10 KiB, and keep one old
// file, so that nearly all of every log is soon gone from the node.
var smallLogs = []string{"--container-log-max-size=10Ki", "--container-log-max-files=2"}

// followStories are those about log-mode follow, told on a node with smallLogs.
var followStories = []struct {
	name string
	tell func(*story)
}{
	{"followed-slowly", followedSlowly},
	{"followed-fast", followedFast},
	{"followed-and-deleted", followedAndDeleted},
	{"followed-crew", followedCrew},
}

func TestFollow(t *testing.T) {
	if testing.Short() {
		t.Skip("the stories take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the stories need root: their containers run on this machine")
	}
	w := newWorld(t, smallLogs...)
	t.Run("stories", func(t *testing.T) {
		for _, told := range followStories {
			t.Run(told.name, func(t *testing.T) {
				t.Parallel()
				told.tell(newStory(t, w, told.name))
			})
		}
	})
}

// paced is a script that writes so many numbered lines, a pause of 50 ms after
// each burst of them.
func paced(lines, burst int) string {
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); printf '%%07d %%055d\n' $i 0; `+
		`[ $((i %% %d)) != 0 ] || sleep 0.05; done`, lines, burst)
}

// exactly wants the log to be the numbered lines up to one, and then the rest. It
// tells which are not.
func (s *story) exactly(log string, lines int, rest string) {
	s.t.Helper()
	want := numbered(1, lines) + rest
	if log == want {
		return
	}
	seen := map[string]int{}
	for line := range strings.Lines(log) {
		seen[line]++
	}
	var lost, twice []string
	for line := range strings.Lines(want) {
		switch number := line[:min(len(line), 7)]; {
		case seen[line] == 0:
			lost = append(lost, number)
		case seen[line] > 1:
			twice = append(twice, number)
		}
	}
	s.t.Fatalf("%d bytes, not %d; lost: %v, twice: %v", len(log), len(want), lost, twice)
}

// followedSlowly: a log that is rotated a dozen times while it is written is whole.
func followedSlowly(s *story) {
	const lines = 12_000
	s.optedIn()
	job := s.start(s.job("steady", paced(lines, 20)).Annotation(api.LogModeAnnotation, api.LogModeFollow))

	s.gone(job)
	r := s.stored(job)
	s.wrote(r, printed{lines: lines})
	s.complete(r)
	s.Expect(r.record.LogMode).To(Equal(api.LogModeFollow))
}

// followedFast: so is one of 8 MiB, that is many times what the node keeps.
func followedFast(s *story) {
	const lines = 128 << 10
	s.optedIn()
	job := s.start(s.job("fast", paced(lines, 400)).Annotation(api.LogModeAnnotation, api.LogModeFollow))

	s.gone(job)
	r := s.stored(job)
	s.wrote(r, printed{lines: lines})
	s.complete(r)
}

// followedAndDeleted: of a pod that is deleted at work, long after the head of its
// log was rotated away, the log is whole, up to its last words.
func followedAndDeleted(s *story) {
	const lines = 4000
	s.optedIn()
	job := s.start(s.job("unlucky", lastWords+paced(lines, 20)+`; touch /seen/written; while true; do sleep 0.2; done`).
		HostFolder(s.folder("seen"), "/seen").Annotation(api.LogModeAnnotation, api.LogModeFollow))
	s.eventually(func(g Gomega) { g.Expect(s.folder("seen") + "/written").To(BeAnExistingFile()) })
	s.overdue(job)

	job = s.reported(job)
	r := s.stored(job)
	s.wrote(r, printed{lines, gotTerm})
	s.complete(r)
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
}

// followedCrew: the logs of an init container and of a sidecar are followed too.
func followedCrew(s *story) {
	const lines = 1500
	s.optedIn()
	job := s.start(s.job("crew", paced(lines, 20)).InitContainer("prepare", paced(lines, 20)).
		Sidecar("proxy", `trap 'echo "got TERM"; exit 0' TERM; `+paced(lines, 20)+`; while true; do sleep 0.2; done`).
		Annotation(api.LogModeAnnotation, api.LogModeFollow))

	s.gone(job)
	r := s.stored(job)
	logs := r.logs()
	s.Expect(logs).To(HaveLen(3))
	for _, log := range logs {
		rest := ""
		if log.Container == "proxy" {
			rest = gotTerm
		}
		s.exactly(log.Text, lines, rest)
	}
	s.complete(r)
}
