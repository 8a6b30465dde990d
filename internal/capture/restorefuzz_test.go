package capture

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/jobtest/allocated"
)

// FuzzRestore has anything be restored: it is refused or bounded, and never a
// panic; what it allocates is in proportion to its text; and its memory is given back.
func FuzzRestore(f *testing.F) {
	hello := gz(f, "hello\n")
	pod := newPodJSON(ended(ours(aPod("p", "main"))), nil)
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
	for _, text := range bombs() {
		f.Add([]byte(text)[:min(len(text), 1<<16)], []byte(nil))
		f.Add(gz(f, text[:min(len(text), 1<<18)]), []byte(nil))
	}
	f.Add([]byte(podHead+`},"logs":[{"head":1048576,"size":1000}]}`), gz(f, string(make([]byte, 1<<20))))
	f.Fuzz(func(t *testing.T, records, logs []byte) {
		c := New(nil, Options{MemoryBytes: 1 << 20})
		r := c.Restore(namespace, job)
		for _, pods := range [][]byte{records, gz(t, string(records))} {
			var err error
			took := allocated.By(func() { err = r.Add(map[string][]byte{PodsKey: pods, LogsKey: logs}) })
			if most := 64*(gunzipped(pods)+gunzipped(logs)) + 4<<20; took > min(most, 4*(maxRecord+leastRestored)+16*gunzipped(logs)) {
				t.Errorf("%d bytes allocated for %d of pods and %d of logs, whose text has %d and %d",
					took, len(pods), len(logs), gunzipped(pods), gunzipped(logs))
			}
			if err != nil {
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
		if c.memory.used > c.memory.limit || c.memory.restored > c.memory.mostRestored {
			t.Errorf("%d bytes in use", c.memory.used)
		}
		r.Release()
		if c.memory.used != 0 || c.memory.restored != 0 {
			t.Errorf("%d bytes in use in the end", c.memory.used)
		}
	})
}

// gunzipped returns how many bytes packed are at least, and how many it is of text.
func gunzipped(packed []byte) int64 {
	size := int64(len(packed))
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return size
	}
	// What is not a whole file has the text that is there.
	text, _ := io.Copy(io.Discard, io.LimitReader(reader, maxUnpacked))
	return size + text
}
