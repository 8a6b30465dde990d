package names

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
)

// FuzzNames holds for every name that an object can have: what is made of it is
// a name too, and another one for each candidate.
func FuzzNames(f *testing.F) {
	f.Add("report-results", 0)
	f.Add(times("a.", 122)+"-results", 15)
	f.Add(times("a", 63)+"."+times("b-", 60)+"c."+times("d", 60), 9)
	f.Fuzz(func(t *testing.T, name string, number int) {
		if len(validation.IsDNS1123Subdomain(name)) > 0 || number < 0 || number > 15 {
			return
		}
		all := append(Candidates(name, uid), Parts(name, number, digits(name, 64), uid)...)
		all = append(all, Results(name))
		for _, made := range append(all, Event(name, string(uid), name)) {
			if problems := validation.IsDNS1123Subdomain(made); len(problems) > 0 {
				t.Fatalf("%q of %q: %v", made, name, problems)
			}
		}
		if len(sets.New(all[:6]...)) != 6 {
			t.Fatalf("candidates of %q meet: %q", name, all)
		}
		if !strings.HasSuffix(Results(name), "-results") {
			t.Fatalf("results %q", Results(name))
		}
		if problems := validation.IsValidLabelValue(LabelValue(name)); len(problems) > 0 {
			t.Fatalf("label %q of %q: %v", LabelValue(name), name, problems)
		}
		if other := types.UID(strings.Repeat("0", len(uid))); Candidates(name, uid)[2] == Candidates(name, other)[2] {
			t.Fatalf("two runs want %q", Candidates(name, uid)[2])
		}
	})
}
