package oracle_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// takers are objects that have a name before the manager can take it. They are
// given what the manager was about to create there.
var takers = []struct {
	name  string
	alter func(*corev1.ConfigMap)
	// earlier is true for what an earlier run of the Job may have left.
	earlier bool
}{
	{name: "somebody's", alter: func(cm *corev1.ConfigMap) {
		cm.Labels, cm.Annotations, cm.Immutable = nil, nil, nil
		cm.Data, cm.BinaryData = map[string]string{"config": "mine"}, nil
	}},
	{name: "somebody's, immutable", alter: func(cm *corev1.ConfigMap) {
		cm.Labels, cm.Annotations = nil, nil
		cm.Data, cm.BinaryData = map[string]string{"config": "mine"}, nil
	}},
	{name: "empty", alter: func(cm *corev1.ConfigMap) {
		*cm = corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: cm.Name}}
	}},
	{name: "empty, with this run's labels", alter: func(cm *corev1.ConfigMap) { cm.Data, cm.BinaryData = nil, nil }},
	{name: "somebody's, with a copied UID", alter: func(cm *corev1.ConfigMap) {
		cm.Data, cm.BinaryData = map[string]string{"config": "mine"}, nil
		reseal(cm)
	}},
	{name: "of another run", earlier: true, alter: func(cm *corev1.ConfigMap) { cm.Labels[api.JobUIDLabel] = "another" }},
	{name: "of another Job", alter: func(cm *corev1.ConfigMap) {
		cm.Labels[api.JobUIDLabel], cm.Labels[api.JobNameLabel] = "another", "another"
	}},
	{name: "this run's, with other content", alter: func(cm *corev1.ConfigMap) {
		spoil(cm)
	}},
	{name: "this run's, with other content and its digest", alter: func(cm *corev1.ConfigMap) {
		spoil(cm)
		cm.Data[api.DataJobJSON] = strings.Replace(cm.Data[api.DataJobJSON], `"uid": "`, `"uid": "f`, 1)
		reseal(cm)
	}},
	{name: "this run's, mutable", alter: func(cm *corev1.ConfigMap) { cm.Immutable = nil }},
}

// reseal makes the digest agree with the content.
func reseal(cm *corev1.ConfigMap) {
	cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, cm.BinaryData)
}

// spoil changes what is in it.
func spoil(cm *corev1.ConfigMap) {
	cm.Data, cm.BinaryData = maps.Clone(cm.Data), nil
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[api.DataLogs] = "nothing happened here"
}

// testTaken has something else take the name of the results, or of a part,
// in the moment before the manager creates it.
func testTaken(t *testing.T, w *world) {
	for _, f := range []flow{success, failure, successInParts} {
		for i, taker := range takers {
			if !w.has(f.name == failure.name || f.name == successInParts.name && i%3 != 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s, results' name: %s", f.name, taker.name), func(t *testing.T) {
				t.Parallel()
				s := w.newScene(t)
				s.start(func(*link) fault { return at(1, createResults, s.take(taker.alter)) })
				run := s.run(f.job(s.namespace, "job"))
				want := w.clean[f.name].renamed("job-results", "job-results-<uid8>")
				if f.name == successInParts.name {
					// Parts of the name that is taken stay behind.
					want.Results[0].Leftover = want.Results[0].Parts
				}
				if !taker.earlier {
					want = want.with("Warning ConfigMap job-results cannot hold the results")
				}
				s.leaves(run, want)
			})
		}
	}
	for _, taker := range takers {
		if w.more {
			break
		}
		t.Run("a part's name: "+taker.name, func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			s.start(func(*link) fault { return at(1, createPart, s.take(taker.alter)) })
			run := s.run(successInParts.job(s.namespace, "job"))
			want := w.clean[successInParts.name]
			if !taker.earlier {
				want = want.with("Warning ConfigMap job-results<part> cannot hold a part of the results")
			}
			s.leaves(run, want)
		})
	}
	if w.more {
		return
	}
	t.Run("every name", func(t *testing.T) {
		t.Parallel()
		w.newScene(t).allTaken()
	})
}

// take returns a fault in which somebody creates an altered copy of what the
// manager is about to create. It must stay as it is.
func (s *scene) take(alter func(*corev1.ConfigMap)) fault {
	return func(a asked, send answering) (*response, error) {
		wanted, ok := a.object.(*corev1.ConfigMap)
		if !ok {
			s.t.Errorf("%T is created", a.object)
			return send()
		}
		taker := wanted.DeepCopy()
		alter(taker)
		taker.Namespace = a.namespace
		metav1.SetMetaDataAnnotation(&taker.ObjectMeta, foreignAnnotation, "true")
		s.put(taker)
		return send()
	}
}

// put creates somebody's object, which must stay as it is.
func (s *scene) put(object *corev1.ConfigMap) {
	if err := s.Create(s.t.Context(), object); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, object)
}

// othersUntouched returns what became of objects of others.
func (s *scene) othersUntouched() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.others {
		now := &corev1.ConfigMap{}
		if err := s.Get(s.anytime(), client.ObjectKeyFromObject(other), now); err != nil {
			return err
		}
		if now.UID != other.UID || now.ResourceVersion != other.ResourceVersion {
			return fmt.Errorf("ConfigMap %s of somebody else was changed", other.Name)
		}
	}
	return nil
}

// allTaken leaves no name: the Job stays, its results are tried slowly, and one
// Warning tells of each name and of the lack of one.
func (s *scene) allTaken() {
	s.t.Helper()
	s.start(nil)
	run := s.run(success.held(s.namespace, "job"))
	for _, suffix := range []string{"", "-" + string(run.UID)[:8], "-" + string(run.UID)} {
		s.put(foreign(s.namespace, "job-results"+suffix))
	}
	s.kubelet.end(s.t.Context(), run.UID)
	s.leaves(run, endState{
		Job: &jobState{
			Labels:      map[string]string{api.EnabledLabel: api.True},
			Annotations: map[string]string{api.ResultsNameAnnotation: "job-results"}, TTL: -1,
			Finalizers: nil,
		},
		Warnings: []string{
			"Warning ConfigMap job-results cannot hold the results",
			"Warning ConfigMap job-results-<uid8> cannot hold the results",
			"Warning ConfigMap job-results-<uid> cannot hold the results",
			"Warning This Job could not be handled yet, trying again",
		},
	})
	// One more try of three names.
	s.busy = 3
}
