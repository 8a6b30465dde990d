package boundedjson

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/jobtest/allocated"
)

// name is a string of another type, as a UID is.
type name string

// large is what costs more memory than text: an empty one is two bytes.
type large struct {
	Name    name      `json:"name,omitempty"`
	Padding [4]large2 `json:"-"`
	Inner   []large2  `json:"inner,omitempty"`
	Pointer *large2   `json:"pointer,omitempty"`
	Flag    *bool     `json:"flag,omitempty"`
}

type large2 struct {
	Text   string `json:"text,omitempty"`
	Small  int8   `json:"small,omitempty"`
	Number int64  `json:"number,omitempty"`
	Byte   uint8  `json:"byte,omitempty"`
}

type document struct {
	List   []large          `json:"list,omitempty"`
	Counts map[string]int64 `json:"counts,omitempty"`
	Names  []string         `json:"names,omitempty"`
	One    large2           `json:"one,omitzero"`
	No     string           `json:"-"`
	Bare   string
	hidden string //nolint:unused // What is not exported is not decoded.
}

func TestDecoded(t *testing.T) {
	tests := map[string]struct {
		text string
		want document
	}{
		"nothing":              {`{}`, document{}},
		"null":                 {` null `, document{}},
		"space":                {" \n\t\r{ \"names\" : [ \"a\" , \"b\" ] } \n", document{Names: []string{"a", "b"}}},
		"an empty list":        {`{"names":[],"list":[]}`, document{Names: []string{}, List: []large{}}},
		"nulls":                {`{"names":[null],"list":[null],"counts":null,"one":null}`, document{Names: []string{""}, List: []large{{}}}},
		"escapes":              {`{"names":["\u00fc\ud83d\ude00\n\"\\","\ud83d"]}`, document{Names: []string{"ü😀\n\"\\", "\ufffd"}}},
		"bytes of no text":     {"{\"names\":[\"a\xffb\"]}", document{Names: []string{"a\ufffdb"}}},
		"unknown fields":       {`{"x":{"y":[1,{"z":"\""}],"":[]},"names":["a"],"q":-1.5e+3}`, document{Names: []string{"a"}}},
		"fields of no name":    {`{"Bare":"a","No":"b","-":"c","hidden":"d","":"e"}`, document{}},
		"a key with an escape": {`{"n\u0061mes":["a"]}`, document{}},
		"counts":               {`{"counts":{"a":1,"\u0062":2,"a":3}}`, document{Counts: map[string]int64{"a": 3, "b": 2}}},
		"the last of two":      {`{"names":["a","b"],"names":["c"]}`, document{Names: []string{"c"}}},
		"numbers":              {`{"one":{"small":-128,"number":9223372036854775807,"byte":255}}`, document{One: large2{Small: -128, Number: 1<<63 - 1, Byte: 255}}},
		"pointers":             {`{"list":[{"pointer":{"text":"a"},"flag":true},{"pointer":null,"flag":null,"name":"b"}]}`, document{List: []large{{Pointer: &large2{Text: "a"}, Flag: new(true)}, {Name: "b"}}}},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			var got document
			if err := Unmarshal(tc.text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(document{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat(`{"x":[`, maxDepth)
	tests := map[string]struct {
		text string
		want error
	}{
		"nothing":               {``, ErrInvalid},
		"space":                 {" \n", ErrInvalid},
		"two values":            {`{}{}`, ErrInvalid},
		"an end too many":       {`{}]`, ErrInvalid},
		"a list":                {`[]`, ErrInvalid},
		"a string":              {`""`, ErrInvalid},
		"an object for a list":  {`{"names":{}}`, ErrInvalid},
		"a string for a list":   {`{"names":"a"}`, ErrInvalid},
		"a list for an object":  {`{"one":[]}`, ErrInvalid},
		"a number for a string": {`{"names":[1]}`, ErrInvalid},
		"a string for a number": {`{"one":{"number":"1"}}`, ErrInvalid},
		"a string for a flag":   {`{"list":[{"flag":"true"}]}`, ErrInvalid},
		"a number for a flag":   {`{"list":[{"flag":1}]}`, ErrInvalid},
		"a fraction":            {`{"one":{"number":1.5}}`, ErrInvalid},
		"a number too large":    {`{"one":{"small":128}}`, ErrInvalid},
		"a byte below nothing":  {`{"one":{"byte":-1}}`, ErrInvalid},
		"a long number":         {`{"x":` + strings.Repeat("1", maxLiteral+1) + `}`, ErrInvalid},
		"no number":             {`{"x":01}`, ErrInvalid},
		"no literal":            {`{"x":nul}`, ErrInvalid},
		"no value":              {`{"x":}`, ErrInvalid},
		"no key":                {`{1:2}`, ErrInvalid},
		"no colon":              {`{"a" 1}`, ErrInvalid},
		"no comma":              {`{"a":1 "b":2}`, ErrInvalid},
		"a comma too many":      {`{"a":1,}`, ErrInvalid},
		"no escape":             {`{"names":["\q"]}`, ErrInvalid},
		"a newline in a string": {"{\"x\":\"\n\"}", ErrInvalid},
		"no end of a string":    {`{"x":"\"`, ErrInvalid},
		"no end":                {`{"x":[{"y":1}`, ErrInvalid},
		"too deep":              {deep, ErrLimit},
		"a bomb of structs":     {`{"list":[` + strings.Repeat("{},", 1<<16) + `{}]}`, ErrLimit},
		"a bomb of nulls":       {`{"list":[` + strings.Repeat("null,", 1<<16) + `{}]}`, ErrLimit},
		"a bomb of lists":       {`{"list":[{}` + strings.Repeat(`],"list":[{}`, 1<<16) + `]}`, ErrLimit},
		"half an escape":        {`{"names":["\u00"]}`, ErrInvalid},
		"no hexadecimal":        {`{"names":["\u00+1"]}`, ErrInvalid},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			var got document
			if err := Unmarshal(tc.text, &got); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// TestStream decodes value after value, and reads no more than it may.
func TestStream(t *testing.T) {
	two := `{"names":["a"]}` + "\n" + `{"names":["b"]}`
	d := NewDecoder(iotest.OneByteReader(strings.NewReader(two)), int64(len(two)))
	for _, want := range []string{"a", "b"} {
		var got document
		if err := d.Decode(&got, 1<<10); err != nil || got.Names[0] != want {
			t.Errorf("%v, %v", got, err)
		}
	}
	if err := d.Decode(&document{}, 1<<10); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	d = NewDecoder(strings.NewReader(`{"x":"12345","names":["1234","12345"]}`), 1<<10)
	d.MaxString = 4
	if err := d.Decode(&document{}, 1<<10); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	tests := map[string]struct {
		source io.Reader
		size   int64
		memory int64
		want   error
	}{
		"too long":             {strings.NewReader(`{"x":"` + strings.Repeat("y", 1<<20)), 1 << 10, 1 << 30, ErrLimit},
		"too much space":       {strings.NewReader(strings.Repeat(" ", 1<<20)), 1 << 10, 1 << 30, ErrLimit},
		"a string too long":    {strings.NewReader(`{"names":["` + strings.Repeat("y", 1<<20) + `"]}`), 1 << 30, 1 << 16, ErrLimit},
		"a key too long":       {strings.NewReader(`{"counts":{"` + strings.Repeat("y", 1<<20) + `":1}}`), 1 << 30, 1 << 16, ErrLimit},
		"broken":               {io.MultiReader(strings.NewReader(`{"names":["a`), iotest.ErrReader(io.ErrNoProgress)), 1 << 10, 1 << 10, io.ErrNoProgress},
		"broken at its start":  {iotest.ErrReader(io.ErrNoProgress), 1 << 10, 1 << 10, io.ErrNoProgress},
		"broken after a value": {iotest.DataErrReader(io.MultiReader(strings.NewReader(`{}`), iotest.ErrReader(io.ErrNoProgress))), 1 << 10, 1 << 10, nil},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			d := NewDecoder(tc.source, tc.size)
			took := allocated.By(func() {
				if err := d.Decode(&document{}, tc.memory); !errors.Is(err, tc.want) {
					t.Errorf("%v, want %v", err, tc.want)
				}
			})
			if took > 1<<19 {
				t.Errorf("%d bytes allocated", took)
			}
		})
	}
}

// TestRoundTrip has everything that package encoding/json writes be read.
func TestRoundTrip(t *testing.T) {
	large2s := rapid.Custom(func(t *rapid.T) large2 {
		return large2{
			Text: rapid.String().Draw(t, "text"), Small: rapid.Int8().Draw(t, "small"),
			Number: rapid.Int64().Draw(t, "number"), Byte: rapid.Byte().Draw(t, "byte"),
		}
	})
	larges := rapid.Custom(func(t *rapid.T) large {
		l := large{Name: name(rapid.String().Draw(t, "name")), Inner: rapid.SliceOfN(large2s, 1, 4).Draw(t, "inner")}
		if rapid.Bool().Draw(t, "with pointers") {
			one := large2s.Draw(t, "pointer")
			l.Pointer, l.Flag = &one, new(rapid.Bool().Draw(t, "flag"))
		}
		return l
	})
	rapid.Check(t, func(t *rapid.T) {
		want := document{
			List: rapid.SliceOfN(larges, 1, 4).Draw(t, "list"), One: large2s.Draw(t, "one"),
			Counts: rapid.MapOfN(rapid.String(), rapid.Int64(), 1, 4).Draw(t, "counts"),
			Names:  rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "names"),
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got document
		if err := NewDecoder(strings.NewReader(string(text)), int64(len(text))).Decode(&got, 1<<20); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(document{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestStrings has strings be what package encoding/json says that they are.
func TestStrings(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		`\u00e4`, `\ud83d`, `\ude00`, `\u`, `\uD83D\uDE00`, `\n`, `\\`, `\/`, `\x`, `\"`, "\xff", "\xe2\x82", "ü", "\x00", "a", `"`,
	})
	rapid.Check(t, func(t *rapid.T) {
		text := `["` + strings.Join(rapid.SliceOf(pieces).Draw(t, "pieces"), "") + `"]`
		var want, got []string
		wanted, err := json.Unmarshal([]byte(text), &want), Unmarshal(text, &got)
		if (wanted == nil) != (err == nil) {
			t.Fatalf("%v, want %v", err, wanted)
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzUnmarshal has anything be decoded in memory that is in proportion to it.
func FuzzUnmarshal(f *testing.F) {
	for _, text := range []string{
		`{"list":[{},{}],"names":["a","\u0000"],"counts":{"a":1,"b":null},"one":{"number":1},"x":[[],{}]}`,
		`{"list":[` + strings.Repeat("{},", 1<<10) + `null]}`,
		`{"list":[{"pointer":{}` + strings.Repeat(`,"pointer":null,"pointer":{}`, 1<<8) + `}]}`,
		`{"list":[{"inner":[{}],"inner":[{},{}],"pointer":{},"pointer":null,"pointer":{},"flag":true}]}`,
		`{"counts":{"` + strings.Repeat("x", 1<<12) + `":1` + strings.Repeat(`,"a":1`, 1<<8) + `}}`,
		`{"names":["` + strings.Repeat(`\u0001`, 1<<10) + `",` + strings.Repeat("\"\",", 1<<10) + `""]}`,
		strings.Repeat(`[`, 1<<12), strings.Repeat(`{"list":[`, 1<<10), "{\"names\":[\"\xff\xff\"]}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got document
		var err error
		took := allocated.By(func() { err = Unmarshal(text, &got) })
		if most := 2*Ratio*int64(len(text)) + 64<<10; took > most {
			t.Errorf("%d bytes allocated for %d", took, len(text))
		}
		if err != nil && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	})
}
