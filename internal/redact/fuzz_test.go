package redact

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// written returns what comes out where text is written in pieces of these
// sizes, over and over.
func written(set *Set, text []byte, sizes ...int) (string, Counts) {
	var out bytes.Buffer
	w := set.Writer(&out)
	for i := 0; len(text) > 0; i++ {
		n := min(len(text), max(1, sizes[i%len(sizes)]))
		_, _ = w.Write(text[:n])
		text = text[n:]
	}
	_ = w.Close()
	return out.String(), w.Counts()
}

func FuzzRedact(f *testing.F) {
	for _, text := range []string{
		"Authorization: Bearer " + b64 + "\n", "postgres://a:b@c ghp_" + of(b64, 36) + jwt, key + "\n" + b64 + "\n" + done,
		"password=\"password=xxxxx", "[redacted jwt]AKIA" + of("ABCD2345", 16), "\x00\xff\r\n\n", key + key + done + "\n" + done,
		"abc8Q~" + of(b64, 34) + "AIza" + of(b64, 35), `"password":"password=abcd"`, "AccountKey=" + b64 + "=AccountKey=" + b64,
	} {
		f.Add([]byte(text), 7, uint16(0))
	}
	set, err := New(true, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, size int, times uint16) {
		if n := int(times); n > 0 && len(text) > 0 {
			text = append(bytes.Repeat(text, min(n, 1+(3*maxPiece)/len(text))), text...)
		}
		got, counts := written(set, text, len(text))
		if strings.Count(got, "\n") != bytes.Count(text, []byte("\n")) {
			t.Fatalf("%d lines became %d", bytes.Count(text, []byte("\n")), strings.Count(got, "\n"))
		}
		if pieces, again := written(set, text, size, 1, 3*size); pieces != got || again.Total() != counts.Total() {
			t.Fatalf("in pieces it is %q, else %q", pieces, got)
		}
		if counts.Total() == 0 && got != string(text) {
			t.Fatalf("nothing replaced, but %q became %q", text, got)
		}
		if twice, _ := set.String(got); len(text) < maxPiece && twice != got {
			t.Fatalf("%q became %q, and that %q", text, got, twice)
		}
	})
}

// ordinary returns a text such as programs log.
func ordinary(size int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for b.Len() < size {
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "2026-11-05T10:%02d:%02dZ level=info msg=\"request served\" path=/api/v1/items/%d duration=%dms status=200 trace=%016x\n",
				r.IntN(60), r.IntN(60), r.IntN(10000), r.IntN(900), r.Uint64())
		case 1:
			fmt.Fprintf(&b, "{\"ts\":%d.%03d,\"logger\":\"import\",\"msg\":\"part done\",\"rows\":%d,\"table\":\"public.orders_%d\",\"key\":\"%x\"}\n",
				1700000000+r.IntN(1e6), r.IntN(1000), r.IntN(1e6), r.IntN(50), r.Uint64())
		case 2:
			fmt.Fprintf(&b, "I1105 10:%02d:%02d.%06d       1 controller.go:%d] \"Reconciled\" object=\"batch/report-%d\" uid=\"%08x-%04x-4%03x-8%03x-%012x\" token_count=%d\n",
				r.IntN(60), r.IntN(60), r.IntN(1e6), r.IntN(900), r.IntN(99), r.Uint32(), r.IntN(65536), r.IntN(4096), r.IntN(4096), r.Uint64()>>16, r.IntN(4000))
		default:
			fmt.Fprintf(&b, "epoch %d/50: loss=%.6f accuracy=%.4f checkpoint=s3://models/run-%d/step-%06d.pt sha256:%016x%016x\n",
				r.IntN(50), r.Float64(), r.Float64(), r.IntN(10), r.IntN(1e6), r.Uint64(), r.Uint64())
		}
	}
	return b.Bytes()
}

func TestOrdinaryLogsStayAsTheyAre(t *testing.T) {
	text := ordinary(4 << 20)
	if got, counts := written(builtin(t), text, 32<<10); got != string(text) {
		t.Errorf("replaced %v", counts)
	}
}

// Whoever writes logs cannot make redaction take hours.
func BenchmarkHostile(b *testing.B) {
	for name, piece := range map[string]string{
		"starts of JWTs": "eyJa-", "JWTs": "eyJa-.eyJ", "keys that begin": key + " ", "URLs": "a://b:c", "assignments": `password":"`,
		"headers": "authorization: bearer ", "starts of tokens": ".ghp_", "markers": "-----BEGIN ", "Azure": "1Q~a", "values": "password=a&",
	} {
		b.Run(name, func(b *testing.B) {
			text := bytes.Repeat([]byte(piece), 1<<20/len(piece))
			set := builtin(b)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				w := set.Writer(discard{})
				_, _ = w.Write(text)
				_ = w.Close()
			}
		})
	}
}

func BenchmarkRedact(b *testing.B) {
	text := ordinary(4 << 20)
	leaking := bytes.ReplaceAll(text, []byte("trace="), []byte("url=https://user:word@host/ trace="))
	for name, bench := range map[string]struct {
		text     []byte
		builtin  bool
		patterns []string
	}{
		"built-in":                       {text, true, nil},
		"built-in, one line in 4 leaks":  {leaking, true, nil},
		"a pattern with a literal":       {text, true, []string{`ACME-\d{6}`}},
		"a pattern that is tried always": {text, true, []string{`\b\d{3}-\d{2}-\d{4}\b`}},
		"off":                            {text, false, nil},
	} {
		b.Run(name, func(b *testing.B) {
			set, err := New(bench.builtin, bench.patterns)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			for b.Loop() {
				w := set.Writer(discard{})
				for rest := bench.text; len(rest) > 0; {
					n := min(len(rest), 32<<10)
					_, _ = w.Write(rest[:n])
					rest = rest[n:]
				}
				_ = w.Close()
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// FuzzPattern holds that an operator's pattern either is refused or redacts what
// it matches, whatever literal is searched for first.
func FuzzPattern(f *testing.F) {
	f.Add("password=(\\S+)", "a password=b\n")
	f.Add("(?i)TOKEN [a-z]{2,}|(x)?secret", "token ab xsecret\nsecret")
	f.Add("^$", "\n\n")
	f.Add("(a|b)*abc(d+)?", "ababcdd")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 200 || len(text) > 4<<10 {
			return
		}
		set, err := New(false, []string{pattern})
		if err != nil {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			t.Fatalf("%q is taken, and is no pattern: %v", pattern, err)
		}
		got, counts := set.String(text)
		if strings.Count(got, "\n") != strings.Count(text, "\n") {
			t.Fatalf("%q became %q", text, got)
		}
		matched := false
		for line := range strings.SplitSeq(text, "\n") {
			for _, groups := range re.FindAllStringSubmatch(line, -1) {
				matched = matched || groups[min(1, re.NumSubexp())] != ""
			}
		}
		if matched != (counts.Total() > 0) {
			t.Fatalf("%q in %q: matched %v, replaced %d: %q", pattern, text, matched, counts.Total(), got)
		}
	})
}
