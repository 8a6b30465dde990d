package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

const uid = types.UID("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed")

func times(s string, n int) string { return strings.Repeat(s, n) }

// digits returns the first n hexadecimal digits of the SHA-256 of s.
func digits(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}

func TestResults(t *testing.T) {
	hashed := func(job, start string) string { return start + "-" + digits(job, 8) + "-results" }
	dots := func(n int) string { return times("a.", n/2) + times("b", n%2) }
	for name, test := range map[string]struct{ job, want string }{
		"short":                     {"report", "report-results"},
		"one character":             {"a", "a-results"},
		"with dots":                 {"report.daily.v1", "report.daily.v1-results"},
		"ends like results":         {"report-results", "report-results-results"},
		"63, a generated selector":  {times("a", 63), times("a", 63) + "-results"},
		"64":                        {times("a", 64), times("a", 64) + "-results"},
		"235":                       {times("a", 235), times("a", 235) + "-results"},
		"243":                       {times("a", 243), times("a", 243) + "-results"},
		"244, the longest whole":    {times("a", 244), times("a", 244) + "-results"},
		"245, cut":                  {times("a", 245), hashed(times("a", 245), times("a", 235))},
		"253, the longest":          {times("a", 253), hashed(times("a", 253), times("a", 235))},
		"244 with dots":             {dots(244)[:243] + "z", dots(244)[:243] + "z-results"},
		"a dot before the cut":      {times("a", 234) + "." + times("b", 18), hashed(times("a", 234)+"."+times("b", 18), times("a", 234))},
		"a dot after the cut":       {times("a", 235) + "." + times("b", 17), hashed(times("a", 235)+"."+times("b", 17), times("a", 235))},
		"a dash before the cut":     {times("a", 234) + "-" + times("b", 18), hashed(times("a", 234)+"-"+times("b", 18), times("a", 234))},
		"dashes before the cut":     {times("a", 230) + "-----" + times("b", 18), hashed(times("a", 230)+"-----"+times("b", 18), times("a", 230))},
		"a dot one before the cut":  {times("a", 233) + ".a" + times("b", 18), hashed(times("a", 233)+".a"+times("b", 18), times("a", 233)+".a")},
		"a label of 63 at the cut":  {times("a", 171) + "." + times("b", 63) + times("c", 18), hashed(times("a", 171)+"."+times("b", 63)+times("c", 18), times("a", 171)+"."+times("b", 63))},
		"dots all the way, 253":     {dots(253), hashed(dots(253), dots(234)+"a")},
		"dots all the way, one off": {"a" + dots(252)[:251] + "z", hashed("a"+dots(252)[:251]+"z", ("a" + dots(252))[:234])},
	} {
		t.Run(name, func(t *testing.T) {
			if len(validation.IsDNS1123Subdomain(test.job)) > 0 {
				t.Fatalf("no Job can be called %q", test.job)
			}
			if diff := cmp.Diff(test.want, Results(test.job)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			valid(t, Results(test.job))
		})
	}
}

func TestResultsOfKnownNames(t *testing.T) {
	// Names are stored in clusters: they must not change with a release.
	for job, want := range map[string]string{
		times("a", 245): times("a", 235) + "-5553f055-results",
		times("a", 253): times("a", 235) + "-32859a3a-results",
	} {
		if diff := cmp.Diff(want, Results(job)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestCandidates(t *testing.T) {
	const short, whole = "1b9d6bcd", string(uid)
	for name, test := range map[string]struct {
		wish string
		uid  types.UID
		want []string
	}{
		"short": {"a-results", uid, []string{"a-results", "a-results-" + short, "a-results-" + whole}},
		"room for the whole UID": {
			times("a", 216), uid,
			[]string{times("a", 216), times("a", 216) + "-" + short, times("a", 216) + "-" + whole},
		},
		"too long for the whole UID": {
			times("a", 217), uid,
			[]string{times("a", 217), times("a", 217) + "-" + short, times("a", 207) + "-" + digits(times("a", 217), 8) + "-" + whole},
		},
		"room for the short UID": {
			times("a", 244), uid,
			[]string{times("a", 244), times("a", 244) + "-" + short, times("a", 207) + "-" + digits(times("a", 244), 8) + "-" + whole},
		},
		"too long for the short UID": {
			times("a", 245), uid,
			[]string{
				times("a", 245), times("a", 235) + "-" + digits(times("a", 245), 8) + "-" + short,
				times("a", 207) + "-" + digits(times("a", 245), 8) + "-" + whole,
			},
		},
		"a dot at both cuts": {
			times("a", 206) + "." + times("b", 27) + "." + times("c", 18), uid,
			[]string{
				times("a", 206) + "." + times("b", 27) + "." + times("c", 18),
				times("a", 206) + "." + times("b", 27) + "-" + digits(times("a", 206)+"."+times("b", 27)+"."+times("c", 18), 8) + "-" + short,
				times("a", 206) + "-" + digits(times("a", 206)+"."+times("b", 27)+"."+times("c", 18), 8) + "-" + whole,
			},
		},
		"a UID of nine characters":  {"a-results", "123456789", []string{"a-results", "a-results-12345678", "a-results-123456789"}},
		"a UID of eight characters": {"a-results", "12345678", []string{"a-results", "a-results-12345678", "a-results-12345678"}},
		"a UID of one character":    {"a-results", "1", []string{"a-results", "a-results-1", "a-results-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Candidates(test.wish, test.uid)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, name := range got {
				valid(t, name)
			}
		})
	}
}

func TestParts(t *testing.T) {
	const sum = "0123456789abcdef"
	for name, test := range map[string]struct {
		results string
		number  int
		want    []string
	}{
		"short": {"a-results", 0, []string{
			"a-results-part-0-01234567", "a-results-part-0-01234567-1b9d6bcd", "a-results-part-0-01234567-" + string(uid),
		}},
		"room for no more": {times("a", 236), 3, []string{
			times("a", 236) + "-part-3-01234567",
			times("a", 219) + "-" + digits(times("a", 236), 8) + "-part-3-01234567-1b9d6bcd",
			times("a", 191) + "-" + digits(times("a", 236), 8) + "-part-3-01234567-" + string(uid),
		}},
		"too long": {times("a", 253), 15, []string{
			times("a", 227) + "-" + digits(times("a", 253), 8) + "-part-15-01234567",
			times("a", 218) + "-" + digits(times("a", 253), 8) + "-part-15-01234567-1b9d6bcd",
			times("a", 190) + "-" + digits(times("a", 253), 8) + "-part-15-01234567-" + string(uid),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Parts(test.results, test.number, sum, uid)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, name := range got {
				valid(t, name)
			}
		})
	}
}

func TestLabelValue(t *testing.T) {
	hashed := func(name string) string { return name[:54] + "-" + digits(name, 8) }
	for name, test := range map[string]struct{ name, want string }{
		"short":               {"report", "report"},
		"62":                  {times("a", 62), times("a", 62)},
		"63":                  {times("a", 63), times("a", 63)},
		"64":                  {times("a", 64), hashed(times("a", 64))},
		"253":                 {times("a", 253), hashed(times("a", 253))},
		"a dot at the cut":    {times("a", 53) + "." + times("b", 10), hashed(times("a", 53) + "." + times("b", 10))},
		"a dash at the cut":   {times("a", 53) + "-" + times("b", 10), hashed(times("a", 53) + "-" + times("b", 10))},
		"a dot after the cut": {times("a", 54) + "." + times("b", 10), hashed(times("a", 54) + "." + times("b", 10))},
	} {
		t.Run(name, func(t *testing.T) {
			got := LabelValue(test.name)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if problems := validation.IsValidLabelValue(got); len(problems) > 0 {
				t.Errorf("%q is no label value: %v", got, problems)
			}
		})
	}
}

func TestEvent(t *testing.T) {
	long := times("a", 253)
	for name, test := range map[string]struct {
		object string
		parts  []string
		want   string
	}{
		"no parts":       {"report", nil, "report." + digits("", 16)},
		"one part":       {"report", []string{"uid"}, "report." + digits("uid", 16)},
		"two parts":      {"report", []string{"uid", "class"}, "report." + digits("uid\x00class", 16)},
		"parts in order": {"report", []string{"class", "uid"}, "report." + digits("class\x00uid", 16)},
		"room for it":    {long[:236], []string{"x"}, long[:236] + "." + digits("x", 16)},
		"too long":       {long[:237], []string{"x"}, long[:227] + "-" + digits(long[:237], 8) + "." + digits("x", 16)},
		"the longest":    {long, []string{"x"}, long[:227] + "-" + digits(long, 8) + "." + digits("x", 16)},
	} {
		t.Run(name, func(t *testing.T) {
			got := Event(test.object, test.parts...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			valid(t, got)
		})
	}
}

// Where one part ends and the next begins is part of the name.
func TestEventKeepsPartsApart(t *testing.T) {
	if Event("a", "x", "yz") == Event("a", "xy", "z") {
		t.Error("different parts, one name")
	}
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func valid(t fataler, name string) {
	t.Helper()
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		t.Fatalf("%q (%d characters): %v", name, len(name), problems)
	}
}

// subdomains draws valid names, most of them near the lengths that matter.
var subdomains = rapid.Custom(func(t *rapid.T) string {
	length := rapid.OneOf(
		rapid.SampledFrom([]int{1, 54, 55, 63, 64, 216, 217, 227, 228, 235, 236, 237, 244, 245, 252, 253}),
		rapid.IntRange(1, 253)).Draw(t, "length")
	alphabet := rapid.SampledFrom([]byte("a0z-."))
	name := make([]byte, 0, length)
	for len(name) < length {
		next := alphabet.Draw(t, "character")
		first := len(name) == 0 || name[len(name)-1] == '.'
		last := len(name) == length-1
		// A label starts and ends with a letter or digit.
		if (next == '.' || next == '-') && (first || last) || next == '.' && name[len(name)-1] == '-' {
			next = 'b'
		}
		name = append(name, next)
	}
	return string(name)
})

func TestNamesAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := subdomains.Draw(t, "name")
		valid(t, name)
		results := Results(name)
		valid(t, results)
		if !strings.HasSuffix(results, "-results") {
			t.Fatalf("%q does not end in -results", results)
		}
		valid(t, Event(name, rapid.SliceOf(rapid.String()).Draw(t, "parts")...))
		value := LabelValue(name)
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			t.Fatalf("%q: %v", value, problems)
		}
		seen := map[string]bool{}
		for _, wish := range []string{results, name} {
			clear(seen)
			for _, candidate := range Candidates(wish, uid) {
				valid(t, candidate)
				seen[candidate] = true
			}
			if len(seen) != 3 {
				t.Fatalf("candidates of %q are not distinct: %v", wish, seen)
			}
		}
	})
}

func TestNamesAreDeterministicAndDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, other := subdomains.Draw(t, "name"), subdomains.Draw(t, "other")
		for what, f := range map[string]func(string) string{
			"Results": Results, "LabelValue": LabelValue,
			"Event":          func(s string) string { return Event(s, "x") },
			"last candidate": func(s string) string { return Candidates(s, uid)[2] },
		} {
			if f(name) != f(strings.Clone(name)) {
				t.Fatalf("%s gives two names for %q", what, name)
			}
			if name != other && f(name) == f(other) {
				t.Fatalf("%s gives %q for %q and %q", what, f(name), name, other)
			}
		}
	})
}

// Long names with the same start are told apart by their ends.
func TestLongNamesStayApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := times("a", rapid.IntRange(240, 251).Draw(t, "length"))
		one := start + rapid.StringMatching(`[a-z0-9]{1,2}`).Draw(t, "one")
		other := start + rapid.StringMatching(`[a-z0-9]{1,2}`).Draw(t, "other")
		if one == other {
			return
		}
		if Results(one) == Results(other) || LabelValue(one) == LabelValue(other) ||
			Candidates(one, uid)[1] == Candidates(other, uid)[1] {
			t.Fatalf("%q and %q share a name", one, other)
		}
	})
}

func TestCapture(t *testing.T) {
	for name, test := range map[string]struct {
		job    string
		number int
		want   string
	}{
		"short":       {"report", 0, "report-capture-" + string(uid) + "-0"},
		"two digits":  {"report", 63, "report-capture-" + string(uid) + "-63"},
		"the longest": {times("a", 206), 0, times("a", 206) + "-capture-" + string(uid) + "-0"},
		"cut":         {times("a", 207), 0, times("a", 197) + "-" + digits(times("a", 207), 8) + "-capture-" + string(uid) + "-0"},
		"a dot there": {times("a", 196) + "." + times("b", 56), 0, times("a", 196) + "-" + digits(times("a", 196)+"."+times("b", 56), 8) + "-capture-" + string(uid) + "-0"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Capture(test.job, uid, test.number)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			valid(t, got)
			if strings.HasSuffix(got, "-results") {
				t.Error("it ends like results")
			}
		})
	}
}
