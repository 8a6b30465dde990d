package termination

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		message string
		want    []Value
	}{
		"nothing":     {message: ""},
		"blank lines": {message: " \r\n\n"},

		"an object": {
			message: "{\"records-processed\": \"1,234,567\", \"output-location\": \"s3://bucket/day\"}\n",
			want:    []Value{{"records-processed", "1,234,567"}, {"output-location", "s3://bucket/day"}},
		},
		"an object over lines": {message: "\r\n{\r\n  \"a\": 1\r\n}\r\n", want: []Value{{"a", "1"}}},
		"scalars as spelled": {
			message: `{"a": 1.50, "b": 12345678901234567890, "c": 1E+2, "d": true, "e": null, "f": "", "g": -0}`,
			want: []Value{
				{"a", "1.50"}, {"b", "12345678901234567890"}, {"c", "1E+2"}, {"d", "true"}, {"e", "null"}, {"f", ""}, {"g", "-0"},
			},
		},
		"escapes":               {message: `{"a\n": "\u00fc\t\"\\\u001b"}`, want: []Value{{"a\n", "ü\t\"\\\x1b"}}},
		"a surrogate pair":      {message: `{"a": "\ud83d\ude00"}`, want: []Value{{"a", "😀"}}},
		"half a surrogate pair": {message: `{"a": "\ud83d"}`},
		"half a pair as a key":  {message: `{"\ude00": 1}`},
		"a replacement character": {
			message: "{\"a\": \"\ufffd\", \"b\": \"\\uFFFD\"}", want: []Value{{"a", "\ufffd"}, {"b", "\ufffd"}},
		},
		"an empty key":            {message: `{"": 1}`, want: []Value{{"", "1"}}},
		"a key twice":             {message: `{"a": 1, "b": 2, "a": 3}`, want: []Value{{"a", "3"}, {"b", "2"}}},
		"a byte order mark":       {message: "\ufeff{\"a\": 1}", want: []Value{{"a", "1"}}},
		"an empty object":         {message: `{}`},
		"an array inside":         {message: `{"a": 1, "b": []}`},
		"an object inside":        {message: `{"a": {"b": 1}}`},
		"an array":                {message: `[{"a": 1}]`},
		"a string":                {message: `"a"`},
		"cut at the end":          {message: `{"a": 1, "b": "2`},
		"cut before the brace":    {message: `{"a": 1`},
		"cut after the colon":     {message: `{"a":`},
		"a comma too many":        {message: `{"a": 1,}`},
		"two objects":             {message: `{"a": 1} {"b": 2}`},
		"text after it":           {message: `{"a": 1} done`},
		"a line after it":         {message: "{\"a\": 1}\nb=2"},
		"a raw control character": {message: "{\"a\": \"\x00\"}"},
		"an object, not UTF-8":    {message: "{\"a\": \"\xff\"}"},

		"lines": {
			message: "records-processed=1,234,567\noutput-location=s3://bucket/day?x=y",
			want:    []Value{{"records-processed", "1,234,567"}, {"output-location", "s3://bucket/day?x=y"}},
		},
		"CRLF, blanks, blank lines": {message: " a = 1 \r\n\r\n\tb\t=\t2 3\t\r\n", want: []Value{{"a", "1"}, {"b", "2 3"}}},
		"an empty value":            {message: "a=", want: []Value{{"a", ""}}},
		"quotes stay":               {message: `a="1"`, want: []Value{{"a", `"1"`}}},
		"a line twice":              {message: "done=1\nall=9\ndone=2\n", want: []Value{{"done", "2"}, {"all", "9"}}},
		"lines with a mark":         {message: "\ufeffa=1", want: []Value{{"a", "1"}}},
		"a slash in a key":          {message: "a/b=1", want: []Value{{"a/b", "1"}}},
		"umlauts":                   {message: "größe=1 €", want: []Value{{"größe", "1 €"}}},
		"no key":                    {message: "=1"},
		"a line of text":            {message: "a=1\ndone\n"},
		"a sentence":                {message: "Processed all rows, error rate=0.1"},
		"only text":                 {message: "1,234,567 records"},
		"a control character":       {message: "a=\x1b[31mred"},
		"a control character, key":  {message: "\x1ba=1"},
		"a carriage return inside":  {message: "a=10%\ra=20%"},
		"lines, not UTF-8":          {message: "a=\xff"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Parse(tc.message, false)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseOfWhatMayBeCut(t *testing.T) {
	if got := Parse(`{"a": 1}`, true); len(got) != 1 {
		t.Errorf("an object, which would not end: %v", got)
	}
	if got := Parse("a=1", true); got != nil {
		t.Errorf("lines: %v", got)
	}
}

func TestMayBeCut(t *testing.T) {
	for containers, limit := range map[int]int{0: 4096, 1: 4096, 3: 4096, 4: 3072, 12: 1024} {
		for size, want := range map[int]bool{limit - 1: false, limit: true, limit + 1: true} {
			if got := MayBeCut(strings.Repeat("x", size), containers); got != want {
				t.Errorf("%d containers, %d bytes: %t", containers, size, got)
			}
		}
	}
}

// FuzzParse compares with the plain decoding of JSON, and expects that values
// written down again are read as they were.
func FuzzParse(f *testing.F) {
	f.Add(`{"a": 1.0, "b": "x", "c": null}`)
	f.Add("a=1\r\nb = 2\n")
	f.Add(`{"a": "\ud83d", "a": [{}]}`)
	f.Add("\ufeff{\"\\u0000\": false}")
	f.Fuzz(func(t *testing.T, message string) {
		values := Parse(message, false)
		again := map[string]string{}
		for _, v := range values {
			if !utf8.ValidString(v.Key) || !utf8.ValidString(v.Text) {
				t.Fatalf("not UTF-8: %q", v)
			}
			if _, twice := again[v.Key]; twice {
				t.Fatalf("%q twice", v.Key)
			}
			again[v.Key] = v.Text
		}
		text, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		reread := map[string]string{}
		for _, v := range Parse(string(text), false) {
			reread[v.Key] = v.Text
		}
		if diff := cmp.Diff(again, reread); diff != "" {
			t.Fatalf("-first +second\n%s", diff)
		}
		var plain map[string]any
		if !strings.Contains(message, "=") && len(values) > 0 && json.Unmarshal([]byte(strings.TrimPrefix(message, "\ufeff")), &plain) != nil {
			t.Fatalf("values of what is no object: %q", values)
		}
		for key, value := range plain {
			if text, isText := value.(string); isText && len(values) > 0 && again[key] != text {
				t.Fatalf("%q is %q, want %q", key, again[key], text)
			}
		}
	})
}
