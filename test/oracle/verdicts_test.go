package oracle_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// guards are what a write to a Job is on condition of.
type guards struct {
	uid     types.UID
	version string
}

// judge returns what no manager may ever ask for, whatever happens to it, in the
// order of requests: a write to a Job that may be another one by now, the deletion
// of one of which no results were created before, another Event that tells how the
// same run ended.
func judge(requests []answered) []string {
	var wrong []string
	stored := map[types.UID]bool{}
	told := map[types.UID]string{}
	for _, a := range requests {
		where := a.namespace + "/" + a.name
		switch {
		case a.toJob:
			if a.guards.uid == "" || a.guards.version == "" {
				wrong = append(wrong, fmt.Sprintf("%s %s: a write to a Job without its UID or resourceVersion: %+v", a.what, where, a.guards))
			}
			if a.what == deleteJob && a.carriedOut == http.StatusOK && !stored[a.guards.uid] {
				wrong = append(wrong, fmt.Sprintf("%s %s: no results of it were created before", a.what, where))
			}
		case a.what == createResults && (a.carriedOut == http.StatusCreated || a.carriedOut == unknown):
			stored[a.run] = true
		case a.tells:
			if earlier := told[a.run]; earlier != "" && earlier != a.name {
				wrong = append(wrong, fmt.Sprintf("%s %s: how the run ended is told by %s too", a.what, where, earlier))
			}
			told[a.run] = a.name
		}
	}
	return wrong
}

// judge expects of all that the processes of the scene asked for that it may be.
func (s *scene) judge(t *testing.T) {
	t.Helper()
	var requests []answered
	for _, p := range s.started() {
		requests = append(requests, p.asked()...)
	}
	// An answer may be late, and another process find before what came of the request.
	slices.SortStableFunc(requests, func(a, b answered) int { return a.sent.Compare(b.sent) })
	for _, wrong := range judge(requests) {
		t.Errorf("%s: %s", s.name, wrong)
	}
}

// guardsOf returns on condition of what a Job is to be written.
func guardsOf(method string, sent []byte) (guards, error) {
	if method == http.MethodPatch {
		var patch struct {
			Metadata struct {
				UID             types.UID `json:"uid"`
				ResourceVersion string    `json:"resourceVersion"`
			} `json:"metadata"`
		}
		// What is no merge patch has none.
		if err := json.Unmarshal(sent, &patch); err != nil && !strings.HasPrefix(string(sent), "[") {
			return guards{}, fmt.Errorf("reading a patch: %w", err)
		}
		return guards{patch.Metadata.UID, patch.Metadata.ResourceVersion}, nil
	}
	if len(sent) == 0 {
		return guards{}, nil
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(sent, nil, nil)
	if err != nil {
		return guards{}, fmt.Errorf("reading what is sent: %w", err)
	}
	switch object := object.(type) {
	case *metav1.DeleteOptions:
		if object.Preconditions == nil {
			return guards{}, nil
		}
		return guards{value(object.Preconditions.UID), value(object.Preconditions.ResourceVersion)}, nil
	case client.Object:
		return guards{object.GetUID(), object.GetResourceVersion()}, nil
	default:
		return guards{}, fmt.Errorf("reading what is sent: %T", object)
	}
}

func value[T ~string](pointer *T) T {
	if pointer == nil {
		return ""
	}
	return *pointer
}

// oneJob is a Job as the API server has it.
func oneJob() *batchv1.Job {
	job := jobtest.MakeJob("team", "report").UID("report-uid").Obj()
	job.ResourceVersion = "42"
	return job
}

func resultsFor(run types.UID) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: "report-results", Labels: map[string]string{api.JobUIDLabel: string(run)},
	}}
}

func eventOf(run types.UID, name, action, note string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Action: action, Note: note,
		Regarding: corev1.ObjectReference{UID: run},
	}
}

// asking is a manager's client that is answered so, one code after the other.
type asking struct {
	client.Client
	*link
	codes []int
}

// RoundTrip implements http.RoundTripper.
func (a *asking) RoundTrip(request *http.Request) (*http.Response, error) {
	code := http.StatusOK
	if len(a.codes) > 0 {
		code, a.codes = a.codes[0], a.codes[1:]
	}
	answered, err := answer(code, metav1.StatusReasonUnknown, "")(asked{}, nil)
	if err == nil {
		answered.Request = request
	}
	return answered, err
}

func newAsking(t *testing.T, f fault, codes ...int) *asking {
	t.Helper()
	a := &asking{link: newLink(f), codes: codes}
	known := mapper().(*meta.DefaultRESTMapper)
	var err error
	a.Client, err = client.New(&rest.Config{Host: "http://nobody"}, client.Options{
		Scheme: scheme.Scheme, Mapper: known, HTTPClient: &http.Client{Transport: a.wrap(a)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestVerdicts has a manager ask for what it may not, as it would really be sent.
func TestVerdicts(t *testing.T) {
	const ok, created, conflict = http.StatusOK, http.StatusCreated, http.StatusConflict
	changed := oneJob()
	changed.Annotations = map[string]string{api.StatusAnnotation: api.StatusCompleted}
	locked := client.MergeFromWithOptions(oneJob(), client.MergeFromWithOptimisticLock{})
	guarded := client.Preconditions{UID: &changed.UID, ResourceVersion: &changed.ResourceVersion}
	const unguarded, unstored, again = "without its UID or resourceVersion", "no results of it were created", "is told by"
	for name, test := range map[string]struct {
		asks  func(c client.Client) []error
		fault fault
		codes []int
		want  []string
	}{
		"what a manager asks for": {codes: []int{created, created, ok, ok}, asks: func(c client.Client) []error {
			return []error{
				c.Create(t.Context(), resultsFor(changed.UID)),
				c.Create(t.Context(), eventOf(changed.UID, "a", api.ActionStore, "results stored in x")),
				c.Patch(t.Context(), changed.DeepCopy(), jobpatch.From(oneJob())),
				c.Delete(t.Context(), changed, guarded),
			}
		}},
		"a patch without either": {want: []string{unguarded}, asks: func(c client.Client) []error {
			return []error{c.Patch(t.Context(), changed.DeepCopy(), client.MergeFrom(oneJob()))}
		}},
		"a patch without the UID": {want: []string{unguarded}, asks: func(c client.Client) []error {
			return []error{c.Patch(t.Context(), changed.DeepCopy(), locked)}
		}},
		"a patch of its status": {want: []string{unguarded}, asks: func(c client.Client) []error {
			return []error{c.Status().Patch(t.Context(), changed.DeepCopy(), client.MergeFrom(oneJob()))}
		}},
		"a patch as a list of changes": {want: []string{unguarded}, asks: func(c client.Client) []error {
			return []error{c.Patch(t.Context(), changed.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(`[]`)))}
		}},
		"an update of whatever it is by now": {want: []string{unguarded}, asks: func(c client.Client) []error {
			blind := changed.DeepCopy()
			blind.ResourceVersion = ""
			return []error{c.Update(t.Context(), blind)}
		}},
		"an update": {asks: func(c client.Client) []error { return []error{c.Update(t.Context(), changed.DeepCopy())} }},
		"a deletion of whatever it is by now": {codes: []int{created}, want: []string{unguarded, unstored}, asks: func(c client.Client) []error {
			return []error{c.Create(t.Context(), resultsFor(changed.UID)), c.Delete(t.Context(), changed)}
		}},
		"a deletion without the resourceVersion": {codes: []int{created}, want: []string{unguarded}, asks: func(c client.Client) []error {
			return []error{
				c.Create(t.Context(), resultsFor(changed.UID)),
				c.Delete(t.Context(), changed, client.Preconditions{UID: &changed.UID}),
			}
		}},
		"a deletion of all Jobs": {want: []string{unguarded, unstored}, asks: func(c client.Client) []error {
			return []error{c.DeleteAllOf(t.Context(), &batchv1.Job{}, client.InNamespace("team"))}
		}},
		"a deletion before anything is stored": {want: []string{unstored}, asks: func(c client.Client) []error {
			return []error{c.Delete(t.Context(), changed, guarded), c.Create(t.Context(), resultsFor(changed.UID))}
		}},
		"a deletion though storing was refused": {codes: []int{conflict, ok}, want: []string{unstored}, asks: func(c client.Client) []error {
			return []error{c.Create(t.Context(), resultsFor(changed.UID)), c.Delete(t.Context(), changed, guarded)}
		}},
		"a deletion that is refused": {codes: []int{conflict}, asks: func(c client.Client) []error {
			return []error{c.Delete(t.Context(), changed, guarded)}
		}},
		"a deletion where another run's are stored": {codes: []int{created}, want: []string{unstored}, asks: func(c client.Client) []error {
			return []error{c.Create(t.Context(), resultsFor("another")), c.Delete(t.Context(), changed, guarded)}
		}},
		"a deletion where the answer to storing was lost": {
			codes: []int{created, ok}, fault: at(1, createResults, loseAnswer(nil)), asks: func(c client.Client) []error {
				return []error{c.Create(t.Context(), resultsFor(changed.UID)), c.Delete(t.Context(), changed, guarded)}
			},
		},
		"a deletion where the results were lost on their way": {
			codes: []int{ok}, fault: at(1, createResults, loseRequest(nil)), want: []string{unstored}, asks: func(c client.Client) []error {
				return []error{c.Create(t.Context(), resultsFor(changed.UID)), c.Delete(t.Context(), changed, guarded)}
			},
		},
		"a deletion whose answer is lost": {fault: at(1, deleteJob, loseAnswer(nil)), want: []string{unstored}, asks: func(c client.Client) []error {
			return []error{c.Delete(t.Context(), changed, guarded)}
		}},
		"the outcome twice": {asks: func(c client.Client) []error {
			return []error{
				c.Create(t.Context(), eventOf("x", "a", api.ActionStore, "results stored in x")),
				c.Create(t.Context(), eventOf("x", "a", api.ActionStore, "results stored in x")),
			}
		}},
		"the outcome under two names": {want: []string{again}, asks: func(c client.Client) []error {
			return []error{
				c.Create(t.Context(), eventOf("x", "a", api.ActionStore, "results stored in x")),
				c.Create(t.Context(), eventOf("x", "b", api.ActionStore, "results stored in y")),
			}
		}},
		"two runs, and other Events": {asks: func(c client.Client) []error {
			return []error{
				c.Create(t.Context(), eventOf("x", "a", api.ActionStore, "results stored in x")),
				c.Create(t.Context(), eventOf("y", "b", api.ActionStore, "results stored in y")),
				c.Create(t.Context(), eventOf("x", "c", api.ActionStore, "the logs are incomplete")),
				c.Create(t.Context(), eventOf("x", "d", api.ActionHandle, "trying again")),
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			manager := newAsking(t, test.fault, test.codes...)
			asked := len(test.asks(manager))
			if got := manager.written(); len(got) != asked {
				t.Fatalf("%d requests are known of %d: %+v", len(got), asked, got)
			}
			got := judge(manager.asked())
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}
