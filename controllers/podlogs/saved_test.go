package podlogs

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
)

// TestMayBeSaved has a Job cost no request for captures that was seen from
// its start and lost no pod.
func TestMayBeSaved(t *testing.T) {
	began := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	jobOf := func(age time.Duration, counted int32) *batchv1.Job {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{UID: "uid", CreationTimestamp: metav1.NewTime(began.Add(age))},
			Status:     batchv1.JobStatus{Succeeded: 1, Failed: counted - 1},
		}
	}
	watching := func() *Keeper {
		k := &Keeper{Captures: capture.New(nil, capture.Options{})}
		k.saved.begin(began)
		return k
	}
	found := func(earlier ...types.UID) *Keeper {
		k := watching()
		k.saved.found(sets.New(earlier...))
		return k
	}
	met := found()
	met.saved.met("uid")
	seen := found()
	seen.Captures.Gone("uid", new(podOf("gone", corev1.PodSucceeded)))
	// What was forgotten may come back.
	back := found("uid")
	back.saved.forget("uid")
	own := found()
	own.saved.exists("uid", api.ResultsKindConfigMap, 0, 1)
	own.saved.forget("uid")
	done := found("uid")
	done.saved.done("uid")
	const inConfigMap, inSecret = api.ResultsKindConfigMap, api.ResultsKindSecret
	tests := map[string]struct {
		k    *Keeper
		job  *batchv1.Job
		kind string
		pods int
		want bool
	}{
		"seen from its start":            {watching(), jobOf(2*time.Minute, 2), inConfigMap, 2, false},
		"more pods than counted":         {watching(), jobOf(2*time.Minute, 1), inConfigMap, 2, false},
		"which one is missing is open":   {watching(), jobOf(2*time.Minute, 2), inConfigMap, 3, true},
		"a pod is missing":               {watching(), jobOf(2*time.Minute, 2), inConfigMap, 1, true},
		"from before":                    {watching(), jobOf(-time.Second, 1), inConfigMap, 1, true},
		"perhaps from before":            {watching(), jobOf(time.Minute, 1), inConfigMap, 1, true},
		"from before, none found":        {found(), jobOf(-time.Second, 1), inConfigMap, 1, false},
		"from before, another's found":   {found("other"), jobOf(-time.Second, 1), inConfigMap, 1, false},
		"from before, its own found":     {found("other", "uid"), jobOf(-time.Second, 1), inConfigMap, 1, true},
		"none found, but one met":        {met, jobOf(-time.Second, 1), inConfigMap, 1, true},
		"none found, a pod seen deleted": {seen, jobOf(-time.Second, 1), inConfigMap, 1, true},
		"its own found, left and back":   {back, jobOf(-time.Second, 1), inConfigMap, 1, true},
		"its own stored, left and back":  {own, jobOf(-time.Second, 1), inConfigMap, 1, true},
		"its own found, stored":          {done, jobOf(-time.Second, 1), inConfigMap, 1, false},
		"none found, but a pod missing":  {found(), jobOf(-time.Second, 2), inConfigMap, 1, true},
		"Secrets are not looked through": {found(), jobOf(-time.Second, 1), inSecret, 1, true},
		"Secrets of one from its start":  {found(), jobOf(time.Hour, 1), inSecret, 1, false},
		"what is stored is nowhere else": {onlyStored(t, watching()), jobOf(2*time.Minute, 2), inConfigMap, 2, true},
		"nobody watches":                 {&Keeper{Captures: capture.New(nil, capture.Options{})}, jobOf(time.Hour, 1), inConfigMap, 1, true},
		"nothing is captured: from now":  {&Keeper{}, jobOf(-time.Second, 2), inConfigMap, 1, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pods := []*corev1.Pod{new(podOf("ok", corev1.PodSucceeded))}
			for i := 1; i < tc.pods; i++ {
				pods = append(pods, new(podOf(types.UID(fmt.Sprint("failed-", i)), corev1.PodFailed)))
			}
			if got := tc.k.mayBeSaved(tc.job, tc.kind, pods); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func podOf(uid types.UID, phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: string(uid), UID: uid}, Status: corev1.PodStatus{Phase: phase}}
}

// onlyStored has the captures of the Job be given up for others, once stored.
func onlyStored(t *testing.T, k *Keeper) *Keeper {
	t.Helper()
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	}
	k.Captures.Gone("uid", pod("first"))
	batch, ok, err := k.Captures.Pack("uid", capture.PackOptions{MaxBytes: api.MaxResultsBytes})
	if err != nil || !ok {
		t.Fatalf("packed %t, %v", ok, err)
	}
	batch.Stored()
	batch.Release()
	for i := 0; !k.Captures.OnlyStored("uid"); i++ {
		if i > 10_000 {
			t.Fatal("nothing is given up")
		}
		k.Captures.Gone("uid", pod(fmt.Sprint("pod-", i)))
	}
	return k
}

// TestSpillRoom has each object leave as much again as it takes, until that is
// too little to be of use.
func TestSpillRoom(t *testing.T) {
	const job types.UID = "uid"
	var s saved
	var rooms []int
	for number := range 100 {
		room := s.room(job, 4<<20)
		if room == 0 {
			break
		}
		rooms = append(rooms, room)
		s.exists(job, api.ResultsKindConfigMap, number, room)
	}
	want := []int{1 << 20, 1 << 20, 1 << 20, 512 << 10, 256 << 10, 128 << 10, 64 << 10, 32 << 10}
	if diff := cmp.Diff(want, rooms); diff != "" {
		t.Errorf("rooms (-want +got):\n%s", diff)
	}
	if s.number(job, api.ResultsKindConfigMap) != len(want) || s.number(job, api.ResultsKindSecret) != 0 {
		t.Error("they are not counted")
	}
	for _, most := range []int{256 << 10, results.MinBytes} {
		if !s.smaller("other") || s.room("other", 4<<20) != most {
			t.Errorf("not %d bytes", most)
		}
	}
	if s.smaller("other") {
		t.Error("smaller than that")
	}
}

// TestSpillBytes has captures of one Job be a few times what results may take, and
// not much more where that is a lot.
func TestSpillBytes(t *testing.T) {
	for results, want := range map[int]int{32 << 10: 128 << 10, 1 << 20: 4 << 20, 4 << 20: 8 << 20, 16 << 20: 20 << 20} {
		if got := mostBytes(results); got != want {
			t.Errorf("%d bytes where results may take %d, want %d", got, results, want)
		}
	}
}

// TestSpillPauses has a Job that loses pod after pod fill objects, not their
// number.
func TestSpillPauses(t *testing.T) {
	const job types.UID = "uid"
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var s saved
	var pauses []time.Duration
	for number := range maxObjects {
		s.failed(job)
		s.exists(job, api.ResultsKindConfigMap, number, 100)
		s.stored(job, api.ResultsKindConfigMap, now)
		pauses = append(pauses, s.wait(job, now))
	}
	for i, pause := range pauses[:promptObjects] {
		if pause != 0 {
			t.Errorf("a pause of %s after %d objects", pause, i+1)
		}
	}
	want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second}
	if diff := cmp.Diff(want, pauses[promptObjects:promptObjects+3]); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	if last := pauses[maxObjects-1]; last != longestPause || s.failed(job) != 1 {
		t.Errorf("the last pause is %s", last)
	}
	s.forget(job)
	if s.wait(job, now) != 0 || s.number(job, api.ResultsKindConfigMap) != 0 {
		t.Error("it is not forgotten")
	}
}

func TestSpillKinds(t *testing.T) {
	var s saved
	s.exists("uid", api.ResultsKindSecret, 2, 10)
	tests := map[string]struct {
		job  types.UID
		own  string
		want map[string]int
	}{
		"a ConfigMap":         {"other", api.ResultsKindConfigMap, map[string]int{api.ResultsKindConfigMap: 0}},
		"a Secret":            {"other", api.ResultsKindSecret, map[string]int{api.ResultsKindConfigMap: 0, api.ResultsKindSecret: 0}},
		"no Secret any more":  {"uid", api.ResultsKindConfigMap, map[string]int{api.ResultsKindConfigMap: 0, api.ResultsKindSecret: 3}},
		"a Secret, and known": {"uid", api.ResultsKindSecret, map[string]int{api.ResultsKindConfigMap: 0, api.ResultsKindSecret: 3}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, s.kinds(tc.job, tc.own)); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
		})
	}
}
