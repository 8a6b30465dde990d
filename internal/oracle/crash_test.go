package oracle_test

import (
	"fmt"
	"testing"
)

// hits are the ways in which a write can be hit. Those that are deadly end the
// process; another one goes on.
var hits = []struct {
	name   string
	fault  func(*link) fault
	deadly bool
}{
	{name: "the process dies instead of", fault: crashInstead, deadly: true},
	{name: "the process dies after", fault: crashAfter, deadly: true},
	{name: "the connection breaks before", fault: loseRequest},
	{name: "the answer is lost of", fault: loseAnswer},
}

// testCrashes hits each write of each flow in each way, and every one of a flow
// one after the other.
func testCrashes(t *testing.T, w *world) {
	for _, f := range flows {
		for k, what := range f.writes {
			for _, hit := range hits {
				t.Run(fmt.Sprintf("%s, %s write %d, %s", f.name, hit.name, k+1, what), func(t *testing.T) {
					t.Parallel()
					s := w.newScene(t)
					s.prepare(f)
					first := s.start(func(l *link) fault { return atWrite(k+1, hit.fault(l)) })
					run := s.run(f.job(s.namespace, "job"))
					if hit.deadly {
						s.replace(first, nil)
					}
					s.leaves(run, w.clean[f.name])
					s.wasHit(first)
					s.wroteAtMost(2*len(f.writes) + 2)
				})
			}
		}
		t.Run(f.name+", the process dies after every single write", func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			s.prepare(f)
			// What is there already is written again, and answered so.
			fresh := func(l *link) fault { return atFreshWrite(crashAfter(l)) }
			p := s.start(fresh)
			run := s.run(f.job(s.namespace, "job"))
			for range f.writes {
				p = s.replace(p, fresh)
			}
			s.leaves(run, w.clean[f.name])
		})
	}
}
