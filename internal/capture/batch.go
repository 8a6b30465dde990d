package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// maxPodsText bounds the text of PodsKey, in bytes before compression.
	maxPodsText = 8 << 20
	// leastPool is half of what the logs of a pod may take at least while they are
	// compressed: there whole pieces of them are left out, which is not to the byte.
	leastPool = 256 << 10
	// workingCopies is how often what an object holds is in memory while it is packed.
	workingCopies = 4
	// batchShare is which part of all memory one object has at most.
	batchShare = 16
)

// Batch is what is to be stored, in one object, of pods of a Job that are kept.
type Batch struct {
	// Values are the content of the object, by PodsKey and LogsKey; not to be
	// changed.
	Values map[string][]byte
	// Pods is of how many pods they are, Bytes the sum of their sizes.
	Pods, Bytes int
	// Release gives back the memory of the batch. It may be called more than once.
	Release func()

	captures *Captures
	packed   []packedPod
}

type packedPod struct {
	pod     *pod
	version int
	// texts are those of which all that is kept is in the batch.
	texts []*text
}

// PackOptions say what a Batch may hold.
type PackOptions struct {
	// Due has it hold pods that are due only, rather than all that are not stored.
	Due bool
	// MaxBytes is the most that its values may take, MaxPodBytes the most that the logs
	// of one pod may; 0: no further bound.
	MaxBytes, MaxPodBytes int
	// Short, where it has a reason, is what the batch says of a complete log of which
	// it has no room for all that is kept. Otherwise it is complete, and shorter.
	Short results.Capture
	// Redact replaces credentials in messages of pods; nil: none. In logs that was
	// done when they were read.
	Redact *redact.Set
}

// Pack returns what is to be stored next of the pods of job, in the order in
// which they were seen: as many as fit, and of one that does not fit by itself the
// heads and tails of its logs. ok is false if there is nothing.
func (c *Captures) Pack(job types.UID, opts PackOptions) (b *Batch, ok bool, err error) {
	c.packing.Lock()
	defer c.packing.Unlock()
	pods, release := c.choose(job, opts.Due)
	defer release()
	if len(pods) == 0 {
		return nil, false, nil
	}
	opts.MaxBytes = min(opts.MaxBytes, c.memory.limit/batchShare)
	work := workingCopies * max(opts.MaxBytes, leastPool)
	c.memory.reserve(work)
	b = &Batch{captures: c}
	ok, err = b.pack(pods, opts)
	c.memory.reserve(b.Bytes - work)
	b.Release = sync.OnceFunc(func() { c.memory.reserve(-b.Bytes) })
	if err != nil || !ok {
		b.Release()
		return nil, false, err
	}
	return b, true, nil
}

// chosen is a pod as it is when it is packed.
type chosen struct {
	packedPod
	Captured
}

// choose returns the pods of job that are to be stored. Until release is called
// their logs stay as they are.
func (c *Captures) choose(job types.UID, due bool) (pods []chosen, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	short, now := c.memory.short(), c.clock.Now()
	var texts []*text
	for _, p := range c.jobs[job] {
		// With what a process does last, nothing waits.
		at, ever := p.due(short || !due)
		if !ever || due && at.After(now) {
			continue
		}
		one := chosen{packedPod: packedPod{pod: p, version: p.version}, Captured: Captured{Pod: p.object}}
		for _, l := range p.logs {
			if l.state == fellBack {
				continue
			}
			l.disown()
			l.text.pin()
			texts = append(texts, l.text)
			one.logs = append(one.logs, *l)
		}
		pods = append(pods, one)
	}
	return pods, func() {
		for _, t := range texts {
			t.unpin()
		}
	}
}

// pack fills the batch and reports whether anything is in it.
func (b *Batch) pack(pods []chosen, opts PackOptions) (bool, error) {
	var index, logs bytes.Buffer
	text, room := 0, opts.MaxBytes
	for i := range pods {
		one, fits, err := encode(&pods[i].Captured, opts)
		if err != nil {
			return false, err
		}
		if !fits {
			pods[i].pod.setUnfit()
			continue
		}
		if len(b.packed) > 0 && (one.size > room || text+len(one.record) > maxPodsText) {
			break
		}
		pods[i].texts = one.texts
		b.packed = append(b.packed, pods[i].packedPod)
		room -= one.size
		text += len(one.record)
		index.Write(one.record)
		for _, member := range one.members {
			logs.Write(member)
		}
	}
	records, err := compress(index.Bytes())
	if err != nil {
		return false, err
	}
	b.Values = map[string][]byte{PodsKey: records, LogsKey: logs.Bytes()}
	b.Pods, b.Bytes = len(b.packed), len(records)+logs.Len()
	return b.Pods > 0, nil
}

// Stored notes that the values are stored: those logs of the pods of which they have
// all that is kept are given up when memory runs short.
func (b *Batch) Stored() {
	c := b.captures
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, packed := range b.packed {
		if packed.pod.version != packed.version {
			continue
		}
		packed.pod.stored, packed.pod.storedAt = true, c.clock.Now()
		for _, t := range packed.texts {
			t.setStored()
		}
	}
}

func (p *pod) setUnfit() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.unfit = true
}

// encoded is a pod as it is stored.
type encoded struct {
	record  []byte
	members [][]byte
	// size is more than it takes in an object.
	size int
	// texts are those of which nothing had to be left out.
	texts []*text
}

// encode returns the pod as it is stored, within the bound of opts. fits is false if that
// has no room even for the pod without its logs, or if it has more containers than are
// restored.
func encode(one *Captured, opts PackOptions) (e encoded, fits bool, err error) {
	record := podRecord{Pod: newPodJSON(one.Pod, opts.Redact)}
	if spec, status := record.Pod.containers(); max(spec, status) > maxContainers || len(one.logs) > maxLogsOfPod {
		return encoded{}, false, nil
	}
	logs := packLogs(one, 2*max(opts.MaxBytes, leastPool))
	for i, log := range logs {
		record.Logs = append(record.Logs, newLogRecord(&one.logs[i]))
		record.Logs[i].set(log)
	}
	// Numbers that change take no more room than there is to spare.
	size, err := recordSize(&record)
	size += len(record.Logs) * (len(opts.Short.Reason) + len(opts.Short.Message))
	if err != nil || size > opts.MaxBytes {
		return encoded{}, false, err
	}
	if logs, err = fit(logs, opts.logRoom(size)); err != nil {
		return encoded{}, false, err
	}
	e.size = size
	for i, log := range logs {
		record.Logs[i].set(log)
		e.add(log, one.logs[i].text, &record.Logs[i], opts.Short)
	}
	e.record, err = json.Marshal(&record)
	if err != nil {
		return encoded{}, false, fmt.Errorf("encoding pod %s/%s: %w", one.Pod.Namespace, one.Pod.Name, err)
	}
	return e, true, nil
}

// add adds a log, which is text compressed, and says in its record if something had to
// be left out.
func (e *encoded) add(log *logpack.Log, t *text, record *logRecord, short results.Capture) {
	e.members = append(e.members, log.Members()...)
	e.size += log.Size()
	switch {
	case t == nil:
	case log.Excerpt().Kept() == t.Kept():
		e.texts = append(e.texts, t)
	case short.Reason != "" && record.Capture.Complete:
		record.Capture = captureRecord(short)
	}
}

// logRoom is what logs of a pod may take whose record takes so much.
func (o *PackOptions) logRoom(record int) int {
	room := o.MaxBytes - record
	if o.MaxPodBytes > 0 {
		room = min(room, o.MaxPodBytes)
	}
	return room
}

// set notes what is stored of the log's text.
func (r *logRecord) set(log *logpack.Log) {
	e := log.Excerpt()
	r.Head, r.Tail, r.Size = e.HeadBytes, e.TailBytes, int64(log.Size())
	r.setGap(log.Gap())
}

// recordSize returns more than what a record takes compressed, whatever numbers
// are in it.
func recordSize(record *podRecord) (int, error) {
	// More than the digits of all numbers of a log take.
	const numbers = 128
	text, err := json.Marshal(record)
	if err != nil {
		return 0, fmt.Errorf("encoding pod %s/%s: %w", record.Pod.Metadata.Namespace, record.Pod.Metadata.Name, err)
	}
	packed, err := compress(text)
	return len(packed) + numbers*(len(record.Logs)+1), err
}

// packLogs returns the logs compressed, in at most budget bytes.
func packLogs(one *Captured, budget int) []*logpack.Log {
	pool := logpack.NewPool(budget)
	logs := make([]*logpack.Log, 0, len(one.logs))
	for i := range one.logs {
		log := pool.Open(false)
		logs = append(logs, log)
		if t := one.logs[i].text; t != nil && t.CopyTo(log) != nil {
			// Its text has less of it, but can be read.
			pool.Drop(log)
			log = pool.Open(false)
			logs[i] = log
			t.CopyText(log)
		}
		// It never fails.
		_ = log.Close()
	}
	return logs
}

// fit returns logs of which no more is kept than has room.
func fit(logs []*logpack.Log, room int) ([]*logpack.Log, error) {
	sizes := make([]int, len(logs))
	for i, log := range logs {
		sizes[i] = log.Size()
	}
	fitted := make([]*logpack.Log, 0, len(logs))
	for i, limit := range logtext.FairShare(sizes, room) {
		log, err := logs[i].Fit(limit)
		if err != nil {
			return nil, fmt.Errorf("shortening a log: %w", err)
		}
		fitted = append(fitted, log)
	}
	return fitted, nil
}
