package joblogs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// counts are Metrics that tests look at.
type counts struct{ reading, streams, memory, bytes atomic.Int64 }

func (c *counts) Reading(more int)          { c.reading.Add(int64(more)) }
func (c *counts) WaitingForStream(more int) { c.streams.Add(int64(more)) }
func (c *counts) WaitingForMemory(more int) { c.memory.Add(int64(more)) }
func (c *counts) Read(bytes int)            { c.bytes.Add(int64(bytes)) }

func (c *counts) is(t *testing.T, reading, streams, memory, bytes int64) {
	t.Helper()
	got := [...]int64{c.reading.Load(), c.streams.Load(), c.memory.Load(), c.bytes.Load()}
	if want := [...]int64{reading, streams, memory, bytes}; got != want {
		t.Errorf("reading, waiting for streams, for memory, bytes: %v, not %v", got, want)
	}
}

// What is read and what waits is told while it does, and every byte once: a log,
// and its last lines, which are read again.
func TestReadingIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{}, faults: map[string]fault{}}
		var pods []*corev1.Pod
		for i := range 3 {
			pods = append(pods, podNamed(fmt.Sprintf("p%d", i)))
			k.logs[pods[i].Name+"/c"] = "....\n"
			k.faults[pods[i].Name+"/c"] = drips(time.Second)
		}
		told := &counts{}
		reader := NewReader(k, Options{Streams: 2, MemoryBytes: 3 * maxBuffer, Metrics: told})
		ended := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		collect := func() {
			_, release, err := reader.Collect(ctx, pods)
			release()
			ended <- err
		}
		go collect()
		synctest.Wait()
		go collect()
		synctest.Wait()
		told.is(t, 2, 0, 1, 0)
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Fatal(err)
		}
		told.is(t, 0, 0, 0, 2*3*2*5)

		go collect()
		<-time.After(1500 * time.Millisecond)
		told.is(t, 2, 0, 0, 60+2)
		cancel()
		if err := <-ended; err == nil {
			t.Error("it went on")
		}
		if told.reading.Load() != 0 || told.streams.Load() != 0 || told.memory.Load() != 0 {
			t.Error("something is counted as going on after its end")
		}
	})
}

func TestWaitingForAStreamIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet{logs: map[string]string{"p/c": ".\n"}, faults: map[string]fault{"p/c": drips(time.Second)}}
		told := &counts{}
		reader := NewReader(k, Options{Streams: 1, Metrics: told})
		ended := make(chan error)
		for range 3 {
			go func() {
				_, release, err := reader.Collect(t.Context(), []*corev1.Pod{podNamed("p")})
				release()
				ended <- err
			}()
		}
		synctest.Wait()
		told.is(t, 1, 2, 0, 0)
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		told.is(t, 0, 0, 0, 3*4)
	})
}
