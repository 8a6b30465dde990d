package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/logpack"
)

// Anybody who may create objects in a namespace can make some that pass for stored
// captures of a Job there. So all that is restored of one Job is bounded together,
// and each record is checked before the next one is read.
const (
	// maxUnpacked is how much text the objects of a Job have together, in bytes.
	maxUnpacked = 512 << 20
	// maxRecord is how much memory a record takes while it is decoded, in bytes.
	maxRecord = 4 << 20
	// maxStored is how long a string of a record may be: a message, in which each byte may
	// take six in JSON.
	maxStored = 8 * maxPodMessage
	// restoredShare is how large, as a part of Options.MemoryBytes, the memory is that
	// restored pods of all Jobs take together. Like that of captured pods it comes on
	// top of what their logs take. leastRestored is how many bytes it has at least.
	restoredShare = 4
	leastRestored = 4 << 20
	// bufferCopies is how often as much of a log as can be read without unpacking is in
	// memory while it is restored: its head, its tail, and both of them joined.
	bufferCopies = 4
)

var (
	// errForeign is what is wrong with values that Pack cannot have made.
	errForeign = errors.New("not a capture")
	// ErrTooMuch is what is wrong with values for which the bounds of a Job leave no
	// room. They may be good.
	ErrTooMuch = errors.New("more than is restored of one Job")
	// ErrMemory says that other Jobs take the memory that there is for restored pods.
	// Later there may be some.
	ErrMemory = errors.New("no memory for captured pods")
)

// Restored are pods that were stored by Batches, of one Job.
type Restored struct {
	captures  *Captures
	namespace string
	job       types.UID
	captured  []Captured
	// text is how many bytes may still be unpacked.
	text int64
	// memory is what the pods take, others what pods of the Job take besides.
	memory, others int
}

// Restore returns what is stored of the pods of job in namespace, nothing yet. The logs
// take of the namespace's share of the memory for captured logs. Release it when it is
// not used any more.
func (c *Captures) Restore(namespace string, job types.UID) *Restored {
	return &Restored{captures: c, namespace: namespace, job: job, text: maxUnpacked}
}

// Add adds the pods of the values of a Batch, or none with an error that says what
// is wrong with them. What was unpacked of them counts in any case. With ErrTooMuch
// and ErrMemory the values may be good. It never panics, whatever they are.
func (r *Restored) Add(values map[string][]byte) error {
	added := &Restored{captures: r.captures, namespace: r.namespace, job: r.job, text: r.text, others: r.others + r.memory}
	err := added.add(values)
	r.text = added.text
	if err != nil {
		added.Release()
		return err
	}
	r.captured = append(r.captured, added.captured...)
	r.memory += added.memory
	return nil
}

// Release gives back the memory of the pods and their logs.
func (r *Restored) Release() {
	for _, one := range r.captured {
		for i := range one.logs {
			one.logs[i].text.drop()
		}
	}
	r.captures.memory.reserveRestored(-r.memory)
	r.captured, r.memory = nil, 0
}

// add adds pod after pod, and leaves those before an error.
func (r *Restored) add(values map[string][]byte) error {
	if len(values[PodsKey]) == 0 {
		return fmt.Errorf("%w: no %s", errForeign, PodsKey)
	}
	text := &logpack.Unpacker{}
	if err := text.Open(bytes.NewReader(values[PodsKey])); err != nil {
		return err
	}
	defer text.Close()
	room := min(maxPodsText, r.text)
	records := boundedjson.NewDecoder(text, room)
	records.MaxString = maxStored
	defer func() { r.text = max(0, r.text-records.Consumed()) }()
	logs := &packedLogs{rest: values[LogsKey]}
	defer logs.text.Close()
	for pods := 0; ; pods++ {
		var record podRecord
		err := records.Decode(&record, maxRecord)
		switch {
		case errors.Is(err, io.EOF):
			return logs.end()
		case errors.Is(err, boundedjson.ErrLimit) && records.Consumed() > room && room < maxPodsText:
			return fmt.Errorf("%w: their text has more than %d bytes", ErrTooMuch, maxUnpacked)
		case err != nil:
			return fmt.Errorf("%w: reading %s: %w", errForeign, PodsKey, err)
		case pods == maxPodsOfJob:
			return fmt.Errorf("%w: more than %d pods", errForeign, maxPodsOfJob)
		}
		if err := r.addRecord(&record, records.Taken(), logs); err != nil {
			return err
		}
	}
}

// addRecord adds a pod that was decoded into so many bytes, and whose logs come next.
func (r *Restored) addRecord(record *podRecord, decoded int64, logs *packedLogs) error {
	if err := record.check(r.job, int64(len(logs.rest))); err != nil {
		return err
	}
	memory := record.Pod.memory() + len(record.Logs)*logMemory + int(decoded)
	if err := r.reserve(memory); err != nil {
		return err
	}
	pod, err := record.Pod.pod()
	if err != nil {
		return err
	}
	// What fails is released with those before it.
	r.captured = append(r.captured, Captured{Pod: pod, logs: make([]followedLog, 0, len(record.Logs))})
	one := &r.captured[len(r.captured)-1]
	for i := range record.Logs {
		log := &record.Logs[i]
		if log.Head+log.Tail > r.text {
			return fmt.Errorf("%w: their logs have more than %d bytes", ErrTooMuch, maxUnpacked)
		}
		before := logs.text.BytesRead()
		l, err := r.captures.memory.restoreLog(r.namespace, log, logs)
		if r.text -= logs.text.BytesRead() - before; err != nil {
			return err
		}
		one.logs = append(one.logs, *l)
	}
	return nil
}

// reserve takes memory for a pod.
func (r *Restored) reserve(memory int) error {
	m := r.captures.memory
	if r.others+r.memory+memory > m.mostRestored {
		return fmt.Errorf("%w: the pods take more than %d bytes of memory", ErrTooMuch, m.mostRestored)
	}
	if !m.reserveRestored(memory) {
		return ErrMemory
	}
	r.memory += memory
	return nil
}

// reserveRestored takes size bytes for a restored pod, and reports whether there are
// so many; less than 0 gives them back.
func (m *memory) reserveRestored(size int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.restored+size > m.mostRestored {
		return false
	}
	m.restored += size
	return true
}
