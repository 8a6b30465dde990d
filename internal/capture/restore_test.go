package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// values returns what an object with these records and logs has.
func values(t testing.TB, logs []byte, records ...podRecord) map[string][]byte {
	t.Helper()
	var text bytes.Buffer
	for _, record := range records {
		if err := json.NewEncoder(&text).Encode(record); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{PodsKey: gz(t, text.String()), LogsKey: logs}
}

func gz(t testing.TB, text string) []byte {
	t.Helper()
	packed, err := compress([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// TestBroken has values that Pack cannot have made be refused, all of them.
func TestBroken(t *testing.T) {
	hello := gz(t, "hello\n")
	pod := func() *corev1.Pod { return slim(ended(ours(aPod("p", "main"))), nil) }
	record := func(change func(*logRecord)) podRecord {
		log := logRecord{Container: "main", Instance: "containerd://main", Head: 6, Size: int64(len(hello))}
		change(&log)
		return podRecord{Pod: pod(), Logs: []logRecord{log}}
	}
	good := func(*logRecord) {}
	with := func(change func(*logRecord)) map[string][]byte { return values(t, hello, record(change)) }
	replaced := func(key string, value []byte) map[string][]byte {
		v := maps.Clone(with(good))
		v[key] = value
		return v
	}
	stranger, nameless := pod(), pod()
	stranger.OwnerReferences[0].UID, nameless.UID = "another", ""
	many := redact.Counts{}
	for i := range maxRules + 1 {
		many[name(i)] = 1
	}
	tests := map[string]map[string][]byte{
		"nothing":                   nil,
		"no pods":                   replaced(PodsKey, nil),
		"pods that are no gzip":     replaced(PodsKey, []byte("pods")),
		"pods that are cut":         replaced(PodsKey, with(good)[PodsKey][:40]),
		"pods that are no JSON":     replaced(PodsKey, gz(t, "pods")),
		"pods of another form":      replaced(PodsKey, gz(t, `{"pod": 7}`)),
		"a bomb of pods":            replaced(PodsKey, gz(t, strings.Repeat(" ", 64<<20))),
		"a bomb of one value":       replaced(PodsKey, gz(t, `{"pod": {"metadata": {"name": "`+strings.Repeat("x", 64<<20))),
		"too many pods":             replaced(PodsKey, gz(t, strings.Repeat(`{"pod": {"metadata": {"uid": "x"}}}`, maxPodsOfJob+1))),
		"no pod":                    values(t, nil, podRecord{}),
		"a pod without a UID":       values(t, nil, podRecord{Pod: nameless}),
		"a pod of another Job":      values(t, nil, podRecord{Pod: stranger}),
		"a pod of nobody":           values(t, nil, podRecord{Pod: &corev1.Pod{ObjectMeta: nameless.ObjectMeta}}),
		"too many logs":             values(t, nil, podRecord{Pod: pod(), Logs: make([]logRecord, maxLogsOfPod+1)}),
		"logs that are no gzip":     replaced(LogsKey, bytes.Repeat([]byte("x"), len(hello))),
		"no logs":                   replaced(LogsKey, nil),
		"logs of nobody":            replaced(LogsKey, append(bytes.Clone(hello), hello...)),
		"a log that is cut":         with(func(l *logRecord) { l.Size-- }),
		"a size below nothing":      with(func(l *logRecord) { l.Size = -1 }),
		"a size that overflows":     with(func(l *logRecord) { l.Size = 1 << 62 }),
		"less text than there is":   with(func(l *logRecord) { l.Head = 5 }),
		"more text than there is":   with(func(l *logRecord) { l.Head = 7 }),
		"a head below nothing":      with(func(l *logRecord) { l.Head = -6 }),
		"a bomb of a head":          with(func(l *logRecord) { l.Head = 1 << 40 }),
		"a bomb of heads":           values(t, nil, record(func(l *logRecord) { l.Size, l.Head = 0, maxUnpacked }), record(func(l *logRecord) { l.Size = 0 })),
		"a tail without a gap":      with(func(l *logRecord) { l.Head, l.Tail = 3, 3 }),
		"a tail below nothing":      with(func(l *logRecord) { l.Tail, l.Gap = -1, &gapRecord{Bytes: 1} }),
		"a gap of nothing":          with(func(l *logRecord) { l.Gap = &gapRecord{} }),
		"a gap below nothing":       with(func(l *logRecord) { l.Gap = &gapRecord{Bytes: -1} }),
		"a gap that overflows":      with(func(l *logRecord) { l.Gap = &gapRecord{Bytes: 1 << 62} }),
		"more lines than bytes":     with(func(l *logRecord) { l.Gap = &gapRecord{Bytes: 1, Newlines: 2} }),
		"lines below nothing":       with(func(l *logRecord) { l.Gap = &gapRecord{Bytes: 1, Newlines: -1} }),
		"a container with any name": with(func(l *logRecord) { l.Container = strings.Repeat("x", maxName+1) }),
		"any reason":                with(func(l *logRecord) { l.Capture.Reason = strings.Repeat("x", maxReason+1) }),
		"too many rules":            with(func(l *logRecord) { l.Redacted = many }),
		"a rule with any name":      with(func(l *logRecord) { l.Redacted = redact.Counts{strings.Repeat("x", maxReason+1): 1} }),
		"a count below nothing":     with(func(l *logRecord) { l.Redacted = redact.Counts{"x": -1} }),
	}
	for what, broken := range tests {
		t.Run(what, func(t *testing.T) {
			c := New(nil, Options{})
			r := c.Restore(job)
			if err := r.Add(broken); err == nil {
				t.Error("it is taken")
			}
			if len(r.captured) != 0 || c.memory.used != 0 {
				t.Errorf("%d pods are taken, %d bytes in use", len(r.captured), c.memory.used)
			}
			if err := r.Add(with(good)); err != nil || len(r.captured) != 1 {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// TestBrokenAfterGood has nothing be left of a pod before the one that is broken.
func TestBrokenAfterGood(t *testing.T) {
	hello := gz(t, "hello\n")
	pod := slim(ended(ours(aPod("p", "main"))), nil)
	log := logRecord{Container: "main", Head: 6, Size: int64(len(hello))}
	bad := log
	bad.Head = 7
	c := New(nil, Options{})
	r := c.Restore(job)
	both := append(bytes.Clone(hello), hello...)
	err := r.Add(values(t, both, podRecord{Pod: pod, Logs: []logRecord{log}}, podRecord{Pod: pod, Logs: []logRecord{bad}}))
	if err == nil || errors.Is(err, errForeign) || len(r.captured) != 0 || c.memory.used != 0 {
		t.Errorf("%v, %d pods, %d bytes in use", err, len(r.captured), c.memory.used)
	}
}

// TestMerged has of a pod that is there twice each log be the better one, whatever
// their order.
func TestMerged(t *testing.T) {
	one := func(text string, capture captureRecord) map[string][]byte {
		log := logRecord{Container: "main", Instance: "containerd://main", Capture: capture, Head: int64(len(text))}
		packed := gz(t, text)
		log.Size = int64(len(packed))
		return values(t, packed, podRecord{Pod: slim(ended(ours(aPod("p", "main"))), nil), Logs: []logRecord{log}})
	}
	done, broken := captureRecord{Complete: true}, captureRecord{Reason: results.ReasonStillRunning}
	tests := map[string]struct {
		a, b map[string][]byte
		want string
	}{
		"complete wins":   {one("longer\n", broken), one("whole\n", done), "whole\n"},
		"else the longer": {one("longer\n", broken), one("short\n", broken), "longer\n"},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			for _, order := range [][]map[string][]byte{{tc.a, tc.b}, {tc.b, tc.a}} {
				got := restoredOf(t, order...)
				if len(got) != 1 || len(got[0]) != 1 || got[0][0].Text != tc.want {
					t.Errorf("%v", got)
				}
			}
		})
	}
}

// FuzzRestore has anything be restored: it is refused or bounded, and never a
// panic; and its memory is given back.
func FuzzRestore(f *testing.F) {
	hello := gz(f, "hello\n")
	pod := slim(ended(ours(aPod("p", "main"))), nil)
	whole := logRecord{Container: "main", Instance: "containerd://main", Head: 6, Size: int64(len(hello)), Capture: captureRecord{Complete: true}}
	cut := whole
	cut.Head, cut.Tail, cut.Gap = 2, 4, &gapRecord{Bytes: 100, Newlines: 3, Last: 'x'}
	for _, logs := range [][]logRecord{{whole}, {cut}, {whole, cut}} {
		text, err := json.Marshal(podRecord{Pod: pod, Logs: logs})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, bytes.Repeat(hello, len(logs)))
	}
	f.Fuzz(func(t *testing.T, records, logs []byte) {
		c := New(nil, Options{MemoryBytes: 1 << 20})
		r := c.Restore(job)
		for _, pods := range [][]byte{records, gz(t, string(records))} {
			if r.Add(map[string][]byte{PodsKey: pods, LogsKey: logs}) != nil {
				continue
			}
			all, release := r.With(nil)
			for _, one := range all {
				for _, log := range one.Logs(nil) {
					if log.Text != nil && log.Text.Seen() < int64(log.Text.Kept()) {
						t.Errorf("%d bytes kept of %d", log.Text.Kept(), log.Text.Seen())
					}
				}
			}
			release()
		}
		if c.memory.used > c.memory.limit {
			t.Errorf("%d bytes in use", c.memory.used)
		}
		r.Release()
		if c.memory.used != 0 {
			t.Errorf("%d bytes in use in the end", c.memory.used)
		}
	})
}
