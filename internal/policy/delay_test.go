package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseDelay(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]Delay{
		"never":                 {Never: true},
		"0":                     {},
		"0s":                    {},
		"10s":                   {After: 10 * time.Second},
		"90m":                   {After: 90 * time.Minute},
		"1h":                    {After: time.Hour},
		"1d12h":                 {After: 36 * time.Hour},
		"2w3d4h5m6s":            {After: 17*day + 4*time.Hour + 5*time.Minute + 6*time.Second},
		"2147483647s":           {After: 2147483647 * time.Second},
		"3550w5d3h14m7s":        {After: 2147483647 * time.Second},
		"0w0d1s":                {After: time.Second},
		"00000000000000000001s": {After: time.Second},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := ParseDelay(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseDelayRefuses(t *testing.T) {
	const want = "must be never or a duration like 1d12h (s m h d w, max 2147483647s)"
	for name, text := range map[string]string{
		"nothing":             "",
		"a blank":             " ",
		"a blank before":      " 1h",
		"a blank after":       "1h ",
		"a line feed":         "1h\n",
		"no unit":             "10",
		"no number":           "h",
		"negative":            "-1s",
		"a plus sign":         "+1s",
		"a fraction":          "1.5h",
		"milliseconds":        "100ms",
		"seconds and ms":      "1s1ms",
		"zero ms":             "0ms",
		"years":               "1y",
		"zero years":          "0y",
		"microseconds":        "1us",
		"smaller unit first":  "12h1d",
		"a unit twice":        "1h1h",
		"capitals":            "1H",
		"Never":               "Never",
		"never and more":      "never1s",
		"a word":              "soon",
		"a second too long":   "2147483648s",
		"weeks too long":      "3551w",
		"beyond a Duration":   "9223372037s",
		"beyond 64 bits":      "99999999999999999999s",
		"other digits":        "１h",
		"an embedded NUL":     "1h\x00",
		"invalid UTF-8":       "1h\xff",
		"an ISO 8601 period":  "PT1H",
		"a number with comma": "1,000s",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseDelay(text)
			if err == nil {
				t.Fatalf("ParseDelay(%q) = %v, want an error", text, got)
			}
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDelayString(t *testing.T) {
	for want, delay := range map[string]Delay{
		"never":         {Never: true},
		"0s":            {},
		"59s":           {After: 59 * time.Second},
		"1m":            {After: time.Minute},
		"1h30m":         {After: 90 * time.Minute},
		"1d":            {After: 24 * time.Hour},
		"1w":            {After: 7 * 24 * time.Hour},
		"8d":            {After: 8 * 24 * time.Hour},
		"365d":          {After: 365 * 24 * time.Hour},
		"24855d3h14m7s": {After: LongestDelay},
	} {
		if got := delay.String(); got != want {
			t.Errorf("%#v.String() = %q, want %q", delay, got, want)
		}
	}
}

func TestDelayRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Delay{After: time.Duration(rapid.Int32Min(0).Draw(t, "seconds")) * time.Second}
		got, err := ParseDelay(want.String())
		if err != nil || got != want {
			t.Fatalf("ParseDelay(%q) = %v, %v; want %v", want.String(), got, err, want)
		}
	})
}

func FuzzParseDelay(f *testing.F) {
	for _, seed := range []string{"never", "0", "1d12h", "2147483647s", "2147483648s", "1y", "100ms", "-1s", "12h1d", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		delay, err := ParseDelay(text)
		if err != nil {
			if delay != (Delay{}) {
				t.Errorf("ParseDelay(%q) = %v beside an error", text, delay)
			}
			return
		}
		if delay.After < 0 || delay.After > LongestDelay || delay.After%time.Second != 0 || delay.Never && delay.After != 0 {
			t.Errorf("ParseDelay(%q) = %#v is out of bounds", text, delay)
		}
		if again, err := ParseDelay(delay.String()); err != nil || again != delay {
			t.Errorf("ParseDelay(%q) = %v, which reads back as %v, %v", text, delay, again, err)
		}
	})
}
