package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/redact"
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
	pod := func() *podJSON { return newPodJSON(ended(ours(aPod("p", "main"))), nil) }
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
	stranger, nameless, timeless := pod(), pod(), pod()
	stranger.Metadata.Owners[0].UID, nameless.Metadata.UID = "another", ""
	timeless.Metadata.Created = "now"
	crowded := func(containers func(*podJSON)) map[string][]byte {
		p := pod()
		containers(p)
		return values(t, nil, podRecord{Pod: p})
	}
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
		"a pod of no time":          values(t, nil, podRecord{Pod: timeless}),
		"too many containers":       crowded(func(p *podJSON) { p.Spec.Init = make([]containerJSON, maxContainers) }),
		"too many statuses":         crowded(func(p *podJSON) { p.Status.Ephemeral = make([]containerStatusJSON, maxContainers) }),
		"too many owners":           crowded(func(p *podJSON) { p.Metadata.Owners = append(p.Metadata.Owners, make([]ownerJSON, maxOthers)...) }),
		"too many conditions":       crowded(func(p *podJSON) { p.Status.Conditions = make([]conditionJSON, maxOthers+1) }),
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
		"an end for any reason": with(func(l *logRecord) {
			l.Life = &lifeRecord{End: &terminatedJSON{Reason: strings.Repeat("x", maxReason+1)}}
		}),
		"an end with a message": with(func(l *logRecord) { l.Life = &lifeRecord{End: &terminatedJSON{Message: "x"}} }),
		"an end at no time":     with(func(l *logRecord) { l.Life = &lifeRecord{End: &terminatedJSON{FinishedAt: "never"}} }),
	}
	for what, broken := range tests {
		t.Run(what, func(t *testing.T) {
			c := New(nil, Options{})
			r := c.Restore(namespace, job)
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

// TestOrphaned takes a pod whose controller the garbage collector has removed.
func TestOrphaned(t *testing.T) {
	pod := newPodJSON(ended(ours(aPod("p", "main"))), nil)
	pod.Metadata.Owners = nil
	r := New(nil, Options{}).Restore(namespace, job)
	if err := r.Add(values(t, nil, podRecord{Pod: pod})); err != nil || len(r.captured) != 1 {
		t.Errorf("%v, %d pods", err, len(r.captured))
	}
}

// TestBrokenAfterGood has nothing be left of a pod before the one that is broken.
func TestBrokenAfterGood(t *testing.T) {
	hello := gz(t, "hello\n")
	pod := newPodJSON(ended(ours(aPod("p", "main"))), nil)
	log := logRecord{Container: "main", Head: 6, Size: int64(len(hello))}
	bad := log
	bad.Head = 7
	c := New(nil, Options{})
	r := c.Restore(namespace, job)
	both := append(bytes.Clone(hello), hello...)
	err := r.Add(values(t, both, podRecord{Pod: pod, Logs: []logRecord{log}}, podRecord{Pod: pod, Logs: []logRecord{bad}}))
	if err == nil || errors.Is(err, errForeign) || len(r.captured) != 0 || c.memory.used != 0 {
		t.Errorf("%v, %d pods, %d bytes in use", err, len(r.captured), c.memory.used)
	}
}
