package retain

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }

// object returns the results of a completed run, a day old, with changes.
func object(name string, change ...func(*corev1.ConfigMap)) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: name, UID: types.UID("uid-of-" + name), ResourceVersion: "1",
		CreationTimestamp: metav1.NewTime(now.Add(-24 * time.Hour)),
		Labels: map[string]string{
			api.CreatedLabel: api.True, api.JobUIDLabel: "run", api.StatusLabel: api.StatusCompleted, api.JobNameLabel: "job",
		},
		Annotations: map[string]string{api.BytesAnnotation: "100"},
	}}
	for _, f := range change {
		f(cm)
	}
	return cm
}

func label(key, value string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { cm.Labels[key] = value }
}

func unlabel(key string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { delete(cm.Labels, key) }
}

func annotate(key, value string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { cm.Annotations[key] = value }
}

func owned(cm *corev1.ConfigMap) {
	cm.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: "run"}}
}

// captured makes an object captures of its owner.
func captured(cm *corev1.ConfigMap) {
	owned(cm)
	cm.Labels = map[string]string{api.CreatedLabel: api.True, api.CaptureOfLabel: "run", api.JobNameLabel: "job"}
}

func ownedBy(version, kind string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) {
		cm.OwnerReferences[0].APIVersion, cm.OwnerReferences[0].Kind = version, kind
	}
}

func ownerUID(uid types.UID) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { cm.OwnerReferences[0].UID = uid }
}

// partOf makes an object a part of the results called of.
func partOf(of string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) {
		cm.Labels[api.PartLabel], cm.Annotations[api.PartOfAnnotation] = "0", of
	}
}

func old(age time.Duration) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { cm.CreationTimestamp = metav1.NewTime(now.Add(-age)) }
}

func TestClassOf(t *testing.T) {
	for name, tc := range map[string]struct {
		object *corev1.ConfigMap
		want   Class
	}{
		"results":                       {object("a"), Results},
		"results of a failed run":       {object("a", label(api.StatusLabel, api.StatusFailed)), Results},
		"a part":                        {object("a", partOf("b")), Part},
		"a part whatever its status":    {object("a", partOf("b"), unlabel(api.StatusLabel)), Part},
		"a part of nothing":             {object("a", partOf("")), Foreign},
		"results that claim to be part": {object("a", annotate(api.PartOfAnnotation, "b")), Results},
		"a part with an empty label":    {object("a", partOf("b"), label(api.PartLabel, "")), Part},
		"a bare object":                 {&corev1.ConfigMap{}, Foreign},
		"not created by us":             {object("a", unlabel(api.CreatedLabel)), Foreign},
		"created says something else":   {object("a", label(api.CreatedLabel, "yes")), Foreign},
		"of no run":                     {object("a", unlabel(api.JobUIDLabel)), Foreign},
		"of no outcome":                 {object("a", unlabel(api.StatusLabel)), Foreign},
		"of another outcome":            {object("a", label(api.StatusLabel, "running")), Foreign},
		"owned: for garbage collection": {object("a", owned), Foreign},
		"an owned part":                 {object("a", partOf("b"), owned), Foreign},
		"captures":                      {object("a", captured), Captured},
		"captures whatever else is set": {object("a", captured, partOf("b"), label(api.StatusLabel, "x")), Captured},
		"captures not created by us":    {object("a", captured, unlabel(api.CreatedLabel)), Foreign},
		"captures of nothing":           {object("a", captured, label(api.CaptureOfLabel, "")), Foreign},
		"captures of a Job without UID": {object("a", owned, ownerUID("")), Foreign},
		"captures of another Job":       {object("a", captured, label(api.CaptureOfLabel, "other")), Foreign},
		"captures without an owner":     {object("a", label(api.CaptureOfLabel, "run"), unlabel(api.JobUIDLabel)), Foreign},
		"captures of a CronJob":         {object("a", captured, ownedBy("batch/v1", "CronJob")), Foreign},
		"captures of another group":     {object("a", captured, ownedBy("example.com/v1", "Job")), Foreign},
		"captures with two owners": {object("a", captured, func(cm *corev1.ConfigMap) {
			cm.OwnerReferences = append(cm.OwnerReferences, cm.OwnerReferences[0])
		}), Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ClassOf(tc.object); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	for name, tc := range map[string]struct {
		object    *corev1.ConfigMap
		want      bool
		malformed bool
	}{
		"never":                {object("a"), false, false},
		"long ago":             {object("a", annotate(api.ExpiresAtAnnotation, "1999-01-01T00:00:00Z")), true, false},
		"a second ago":         {object("a", annotate(api.ExpiresAtAnnotation, at(-time.Second))), true, false},
		"now":                  {object("a", annotate(api.ExpiresAtAnnotation, at(0))), true, false},
		"in a second":          {object("a", annotate(api.ExpiresAtAnnotation, at(time.Second))), false, false},
		"in a moment":          {object("a", annotate(api.ExpiresAtAnnotation, now.Add(time.Millisecond).Format(time.RFC3339Nano))), false, false},
		"in another time zone": {object("a", annotate(api.ExpiresAtAnnotation, "2026-11-23T13:00:00+02:00")), true, false},
		"empty":                {object("a", annotate(api.ExpiresAtAnnotation, "")), false, true},
		"a date":               {object("a", annotate(api.ExpiresAtAnnotation, "2026-01-01")), false, true},
		"seconds":              {object("a", annotate(api.ExpiresAtAnnotation, "1700000000")), false, true},
		"never, in words":      {object("a", annotate(api.ExpiresAtAnnotation, "never")), false, true},
		"a part":               {object("a", partOf("b"), annotate(api.ExpiresAtAnnotation, at(-time.Hour))), false, false},
		"what is not ours":     {object("a", unlabel(api.CreatedLabel), annotate(api.ExpiresAtAnnotation, at(-time.Hour))), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Expired(tc.object, now); got != tc.want {
				t.Errorf("got %t", got)
			}
			if _, expires, err := Expiry(tc.object); (err != nil) != tc.malformed || err != nil && expires {
				t.Errorf("expires %t, error %v", expires, err)
			}
		})
	}
}

func TestOrphanable(t *testing.T) {
	for name, tc := range map[string]struct {
		object *corev1.ConfigMap
		want   bool
	}{
		"results":             {object("a"), false},
		"an old part":         {object("a", partOf("b")), true},
		"a part of an hour":   {object("a", partOf("b"), old(time.Hour)), true},
		"a part of less":      {object("a", partOf("b"), old(time.Hour-time.Second)), false},
		"a part from ahead":   {object("a", partOf("b"), old(-time.Hour)), false},
		"an old owned part":   {object("a", partOf("b"), owned), false},
		"its created-at lies": {object("a", partOf("b"), old(time.Minute), annotate(api.CreatedAtAnnotation, at(-9*time.Hour))), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Orphanable(tc.object, now); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// Deletions are for the object in the state in which it was seen.
func TestRefOf(t *testing.T) {
	want := Ref{Kind: api.ResultsKindSecret, Namespace: "team", Name: "a", UID: "uid-of-a", ResourceVersion: "1"}
	if got := RefOf(api.ResultsKindSecret, object("a")); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBytes(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "100": 100, "1048576": 1 << 20, "1048577": 1 << 20, "9223372036854775807": 1 << 20,
		"-1": 0, "": 0, "many": 0, "99999999999999999999": 0, "1e3": 0,
	} {
		if got := Bytes(object("a", annotate(api.BytesAnnotation, value))); got != want {
			t.Errorf("%q: got %d, want %d", value, got, want)
		}
	}
}
