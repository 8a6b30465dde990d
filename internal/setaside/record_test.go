package setaside

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func jobs(names ...types.UID) []types.UID { return names }

// Each step is a process that takes over from one that was handling Jobs.
func TestBegin(t *testing.T) {
	type step struct {
		holder string
		atWork []types.UID
		after  time.Duration
	}
	killed := func(atWork ...types.UID) step { return step{holder: "killed", atWork: atWork} }
	ended := func(atWork ...types.UID) step { return step{atWork: atWork} }
	for name, test := range map[string]struct {
		steps []step
		want  map[types.UID]int
	}{
		"nothing was handled":                  {[]step{killed()}, map[types.UID]int{}},
		"an end in order blames no Job":        {[]step{ended("a", "b")}, map[types.UID]int{}},
		"a kill blames each Job at work":       {[]step{killed("a", "b")}, map[types.UID]int{"a": 1, "b": 1}},
		"twice":                                {[]step{killed("a"), killed("a")}, map[types.UID]int{"a": 2}},
		"an end in order forgets nothing":      {[]step{killed("a"), ended(), killed("a")}, map[types.UID]int{"a": 2}},
		"the suspect is blamed, not the rest":  {[]step{killed("a"), killed("a", "b")}, map[types.UID]int{"a": 2}},
		"those beside it are suspects as well": {[]step{killed("a", "b"), killed("a", "b")}, map[types.UID]int{"a": 2, "b": 2}},
		"a day later it is forgotten":          {[]step{killed("a"), {after: 24 * time.Hour}}, map[types.UID]int{}},
		"before that it is not":                {[]step{killed("a"), {after: 23 * time.Hour}}, map[types.UID]int{"a": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			now, record := noon, Record{}
			for _, s := range test.steps {
				now = now.Add(s.after)
				record.Holder, record.AtWork = s.holder, s.atWork
				var unclean bool
				if record, unclean = record.Begin("next", now); unclean != (s.holder != "") {
					t.Errorf("unclean: %t after %+v", unclean, s)
				}
			}
			got := map[types.UID]int{}
			for uid, count := range record.Ended {
				got[uid] = count.Times
			}
			if diff := cmp.Diff(test.want, got); diff != "" || record.Holder != "next" || len(record.AtWork) > 0 {
				t.Errorf("%+v: -want +got\n%s", record, diff)
			}
		})
	}
}

// Whatever Jobs are handled beside it, the one that ends each process is set aside
// after the second, and no Job is that was at work once, or never.
func TestTheCulpritIsSetAside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const culprit, innocent = types.UID("culprit"), types.UID("innocent")
		record, now := Record{}, noon
		for range 3 {
			beside := rapid.SliceOfNDistinct(rapid.IntRange(0, 400), 0, MaxNoted-1, rapid.ID).Draw(t, "beside")
			record.AtWork = jobs(culprit)
			for _, n := range beside {
				// One suspect is handled at a time.
				if uid := types.UID(fmt.Sprint("job-", n)); !record.Suspect(uid) {
					record.AtWork = append(record.AtWork, uid)
				}
			}
			record.Holder = "killed"
			now = now.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second)
			record, _ = record.Begin("next", now)
			for uid := range record.Ended {
				if record.SetAside(uid) && uid != culprit {
					t.Fatalf("%s is set aside, which was at work once", uid)
				}
			}
		}
		if !record.SetAside(culprit) || record.Suspect(innocent) {
			t.Fatalf("got %+v", record)
		}
	})
}

// A Record survives being written and read, and is bounded whatever it is made of.
func TestRecordIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uid := rapid.Custom(func(t *rapid.T) types.UID {
			return types.UID(fmt.Sprintf("%036d", rapid.IntRange(0, 1000).Draw(t, "job")))
		})
		record := Record{Holder: "killed"}
		for range rapid.IntRange(1, 20).Draw(t, "processes") {
			work := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Work {
				return Work{
					Job: uid.Draw(t, "uid"), Announced: rapid.Bool().Draw(t, "announced"),
					Since: noon.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second),
				}
			}), 0, 300).Draw(t, "work")
			record.AtWork = Noted(work, noon, time.Second)
			text, err := record.Encode()
			if err != nil || len(text) > 32<<10 || len(record.AtWork) > MaxNoted || len(record.Ended) > MaxNoted {
				t.Fatalf("%d bytes, %d at work, %d ended, %v", len(text), len(record.AtWork), len(record.Ended), err)
			}
			read := Decode(text)
			read.Holder = record.Holder
			if text2, _ := read.Encode(); text2 != text {
				t.Fatalf("read %s, wrote %s", text2, text)
			}
			before := record.Ended
			record, _ = read.Begin("killed too", noon)
			for uid, count := range before {
				if now, kept := record.Ended[uid]; kept && now.Times < count.Times {
					t.Fatalf("%s has fewer ends than before", uid)
				}
			}
		}
	})
}

func TestDecodeLeavesOutWhatItCannotRead(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"no JSON":      "{",
		"another type": `{"atWork":{"a":1}}`,
		"much":         `{"atWork":["` + strings.Repeat("a", 1<<20) + `"]}`,
		"no UIDs":      `{"atWork":["","` + strings.Repeat("a", 100) + `"],"ended":{"":{"times":5},"b":{"times":-1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decode(text); len(got.AtWork) > 0 || len(got.Ended) > 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Those with the most ends are remembered, however many others come.
func TestTheWorstAreRemembered(t *testing.T) {
	record := Record{Ended: map[types.UID]Count{"worst": {Times: 2, Last: noon.Add(-time.Hour)}}}
	for i := range 3 * MaxNoted {
		record.Holder, record.AtWork = "killed", jobs(types.UID(fmt.Sprint(i)))
		record, _ = record.Begin("next", noon)
	}
	if len(record.Ended) != MaxNoted || !record.SetAside("worst") {
		t.Errorf("%d are remembered: %v", len(record.Ended), slices.Sorted(maps.Keys(record.Ended)))
	}
}

func TestNoted(t *testing.T) {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	work := []Work{
		{Job: "long", Since: ago(time.Minute)},
		{Job: "short", Since: ago(time.Millisecond)},
		{Job: "announced", Since: ago(0), Announced: true},
		{Job: "second", Since: ago(time.Second)},
	}
	if diff := cmp.Diff(jobs("announced", "long", "second"), Noted(work, noon, time.Second)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for i := range 2 * MaxNoted {
		work = append(work, Work{Job: types.UID(fmt.Sprint(i)), Since: ago(2 * time.Second)})
	}
	got := Noted(work, noon, time.Second)
	if len(got) != MaxNoted || !slices.Contains(got, "long") || !slices.Contains(got, "announced") || slices.Contains(got, "second") {
		t.Errorf("got %d: %v", len(got), got)
	}
}

func TestWait(t *testing.T) {
	for times, want := range map[int]time.Duration{
		0: 0, 1: 0, 2: 0, 3: time.Minute, 4: 2 * time.Minute, 6: 8 * time.Minute, 7: 10 * time.Minute, 100: 10 * time.Minute,
	} {
		record := Record{Ended: map[types.UID]Count{"a": {Times: times, Last: noon}}}
		if got := record.Wait("a", noon, 10*time.Minute); got != want {
			t.Errorf("after %d ends it waits %s, want %s", times, got, want)
		}
		if got := record.Wait("a", noon.Add(want), 10*time.Minute); got != 0 {
			t.Errorf("after %d ends and its time it waits %s", times, got)
		}
	}
}
