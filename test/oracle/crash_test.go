package oracle_test

import (
	"fmt"
	"slices"
	"testing"
)

type hit struct {
	name   string
	fault  func(*link) fault
	deadly bool
}

// hits are the ways in which a write can be hit. Those that are deadly end the
// process; another one goes on.
var hits = []hit{
	{name: "the process dies instead of", fault: crashInstead, deadly: true},
	{name: "the process dies after", fault: crashAfter, deadly: true},
	{name: "the connection breaks before", fault: loseRequest},
	{name: "the answer is lost of", fault: loseAnswer},
}

// testCrashes hits each write of each flow in each way, and every one of a flow
// one after the other.
func testCrashes(t *testing.T, w *world) {
	for _, f := range slices.Concat(flows, moreFlows) {
		more := slices.ContainsFunc(moreFlows, func(other flow) bool { return f.name == other.name })
		if w.has(more || f.name == failureInParts.name) {
			for k := range f.writes {
				for _, hit := range hits {
					hitAt(t, w, f, k, hit)
				}
			}
		}
		if w.has(f.name == failureInParts.name) {
			diesEveryTime(t, w, f)
		}
	}
}

// hitAt hits the write after the first k of a flow.
func hitAt(t *testing.T, w *world, f flow, k int, hit hit) {
	t.Run(fmt.Sprintf("%s, %s write %d, %s", f.name, hit.name, k+1, f.writes[k]), func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		first, run := s.begin(f, func(l *link) fault { return atWrite(k+1, hit.fault(l)) })
		if hit.deadly {
			s.replace(first, nil)
		}
		wants := w.wants(f)
		if hit.name == hits[0].name && k == 0 && f.fragile != "" {
			wants = []endState{w.clean[f.fragile]}
		}
		s.leaves(run, wants...)
		s.wasHit(first)
		// Once more for each time at which the cache is behind.
		s.wroteAtMost(3*len(f.writes) + 2)
	})
}

// diesEveryTime has the process die after every write of a flow.
func diesEveryTime(t *testing.T, w *world, f flow) {
	if f.untold {
		// Which writes there are depends on what is believed.
		return
	}
	t.Run(f.name+", the process dies after every single write", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		// What is there already is written again, and answered so.
		fresh := func(l *link) fault { return atFreshWrite(crashAfter(l)) }
		p, run := s.begin(f, fresh)
		for _, write := range f.writes {
			// A process that finds the Job reported leaves its captures to retention.
			if write != deleteCapture {
				p = s.replace(p, fresh)
			}
		}
		s.leaves(run, w.clean[f.name])
	})
}
