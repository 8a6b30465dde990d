package events

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/job-handler/job-handler/internal/logtext"
)

// Whoever reads Events does so in a terminal, and users have a part in what
// they say: the message of a Job, a value that is refused.
func TestNotesSteerNoTerminal(t *testing.T) {
	for name, test := range map[string]struct{ note, want string }{
		"colours":           {"\x1b[31mred", `\x1b[31mred`},
		"a title":           {"\x1b]0;owned\a", `\x1b]0;owned\x07`},
		"8-bit colours":     {"\u009b31m", `\u009b31m`},
		"a carriage return": {"failed\rcompleted", `failed\rcompleted`},
		"another line":      {"failed\n  Normal  JobProcessing  all is well", `failed\n  Normal  JobProcessing  all is well`},
		"text direction":    {"\u202edetelpmoc", `\u202edetelpmoc`},
		"hidden characters": {"a\u200bb\u2066", `a\u200bb\u2066`},
		"no text":           {"\xff\xfe", `\xff\xfe`},
		"NUL":               {"\x00", `\x00`},
		"words":             {"Größe: 1 MiB, 東京", "Größe: 1 MiB, 東京"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(scheme.Scheme)
			notice := outcome
			notice.Note = test.note
			if err := s.Send(t.Context(), theJob(), notice); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, s.stored(t)[0].Note); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("report", "b2b0cf1f", "outcome", "Job failed (BackoffLimitExceeded)")
	f.Add(strings.Repeat("a", 253), "", "name/x-results", "\x1b[2J\u202e\r\n"+strings.Repeat("ü", 1024))
	f.Fuzz(func(t *testing.T, name, uid, class, note string) {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			return
		}
		job := theJob()
		job.Name, job.UID = name, types.UID(uid)
		notice := outcome
		notice.Class, notice.Note = class, note
		event, err := newServer(scheme.Scheme).event(job, notice)
		if err != nil {
			t.Fatal(err)
		}
		if problems := validation.IsDNS1123Subdomain(event.Name); len(problems) > 0 {
			t.Fatalf("name %q: %v", event.Name, problems)
		}
		if len(event.Note) > maxNote || !utf8.ValidString(event.Note) || strings.Contains(event.Note, "\n") {
			t.Fatalf("note %q of %d bytes", event.Note, len(event.Note))
		}
		if again := logtext.Line(event.Note, 2*maxNote); again != event.Note {
			t.Fatalf("note %q steers a terminal", event.Note)
		}
	})
}
