package oracle_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// endState is what a run leaves behind, without what differs from run to run:
// UIDs and names of pods are replaced, times left out.
type endState struct {
	// Job is nil if it is gone.
	Job *jobState
	// Results are the results objects of the run; there should be one.
	Results []resultsState
	// Outcomes are the Events about what was stored, as type and note.
	Outcomes []string
	// Warnings are the other Warnings.
	Warnings []string
	// Captures is how many objects keep logs of deleted pods beside the Job. Of one that
	// is stored and kept, those that a fault left behind do not count: retention
	// removes them.
	Captures int
}

// renamed returns the state with another name of the results.
func (e endState) renamed(from, to string) endState {
	e.Results = slices.Clone(e.Results)
	for i := range e.Results {
		e.Results[i].Name = strings.Replace(e.Results[i].Name, from, to, 1)
	}
	e.Outcomes = slices.Clone(e.Outcomes)
	for i := range e.Outcomes {
		e.Outcomes[i] = strings.NewReplacer(" "+from+";", " "+to+";", " "+from+" ", " "+to+" ").Replace(e.Outcomes[i])
	}
	if e.Job != nil {
		job := *e.Job
		job.Annotations = maps.Clone(job.Annotations)
		job.Annotations[api.ResultsNameAnnotation] = to
		e.Job = &job
	}
	return e
}

// named returns what the same Job leaves under another name.
func (e endState) named(job string) endState {
	e = e.renamed("job-results", job+"-results")
	for i := range e.Results {
		e.Results[i].Labels = maps.Clone(e.Results[i].Labels)
		e.Results[i].Labels[api.JobNameLabel] = job
	}
	return e
}

// cutOff returns the state if the log of a deleted pod broke off and could not be
// read again.
func (e endState) cutOff() endState {
	e.Results = slices.Clone(e.Results)
	e.Results[0].Capture, e.Results[0].Shortened = "complete=false DeletedBeforeCapture", true
	e.Outcomes = append(slices.Clone(e.Outcomes),
		"Warning The logs in "+e.Results[0].Kind+" "+e.Results[0].Name+" are incomplete: DeletedBeforeCapture")
	if e.Job != nil {
		job := *e.Job
		job.Annotations = maps.Clone(job.Annotations)
		job.Annotations[api.CaptureAnnotation] = "incomplete: DeletedBeforeCapture"
		e.Job = &job
	}
	return e
}

// outcomes returns how many Events tell how the Job ended.
func (e endState) outcomes() int {
	n := 0
	for _, note := range e.Outcomes {
		if strings.Contains(note, "results stored in") {
			n++
		}
	}
	return n
}

// with returns the state with these Warnings.
func (e endState) with(warnings ...string) endState {
	e.Warnings = nil
	if len(warnings) > 0 {
		e.Warnings = warnings
	}
	return e
}

// jobState is what the manager may change of a Job.
type jobState struct {
	Labels, Annotations map[string]string
	TTL                 int32
	Finalizers          []string
	Deleting            bool
}

// resultsState is a results object with its parts.
type resultsState struct {
	Kind, Name  string
	Labels      map[string]string
	Annotations []string
	Keys        []string
	Status      string
	Capture     string
	// Missing is of how many pods there is nothing, and that is told.
	Missing int
	// Shortened is true if the middle of a log was left out.
	Shortened bool
	// Parts is their number, Leftover that of parts of the run beyond it.
	Parts, Leftover int
	// Wrong is what is not as it should be: not whole, not about this run's
	// pods, a log that is not what the container wrote.
	Wrong string
}

// observe returns what a run has left by now.
func (w *world) observe(ctx context.Context, run *batchv1.Job) (endState, error) {
	var state endState
	now := &batchv1.Job{}
	err := w.Get(ctx, client.ObjectKeyFromObject(run), now)
	if client.IgnoreNotFound(err) != nil {
		return state, err
	}
	hide := w.hider(run)
	if err == nil && now.UID == run.UID {
		state.Job = jobStateOf(now, hide)
	}
	if state.Results, err = w.resultsOf(ctx, run, hide); err != nil {
		return state, err
	}
	if state.Job == nil || state.Job.Annotations[api.StatusAnnotation] == "" {
		if state.Captures, err = w.capturesOf(ctx, run); err != nil {
			return state, err
		}
	}
	state.Outcomes, state.Warnings, err = w.told(ctx, run, hide)
	return state, err
}

// capturesOf returns how many objects there are that keep logs of a run's deleted
// pods, but for what the test itself made.
func (w *world) capturesOf(ctx context.Context, run *batchv1.Job) (int, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(api.ResultsKindConfigMap + "List"))
	err := w.List(ctx, &list, client.InNamespace(run.Namespace), client.MatchingLabels{api.CaptureOfLabel: string(run.UID)})
	captures := 0
	for _, object := range list.Items {
		if object.Annotations[foreignAnnotation] == "" {
			captures++
		}
	}
	return captures, err
}

// hider replaces what differs from run to run.
func (w *world) hider(run *batchv1.Job) func(string) string {
	pairs := []string{string(run.UID), "<uid>", string(run.UID)[:8], "<uid8>", run.Namespace, "<namespace>"}
	for _, pod := range w.kubelet.of(run.UID) {
		pairs = append(pairs, pod.Name, "<pod>", string(pod.UID), "<pod-uid>")
	}
	replace := strings.NewReplacer(pairs...)
	return func(text string) string { return differing.ReplaceAllString(replace.Replace(text), "<part>") }
}

// differing are parts of names made from hashes of what differs.
var differing = regexp.MustCompile(`(?:-part-[0-9]+-)[0-9a-f]{8}`)

func jobStateOf(job *batchv1.Job, hide func(string) string) *jobState {
	state := &jobState{
		Labels: ours(job.Labels, hide), Annotations: ours(job.Annotations, hide), TTL: -1,
		Finalizers: job.Finalizers, Deleting: job.DeletionTimestamp != nil,
	}
	if job.Spec.TTLSecondsAfterFinished != nil {
		state.TTL = *job.Spec.TTLSecondsAfterFinished
	}
	return state
}

func ours(all map[string]string, hide func(string) string) map[string]string {
	found := map[string]string{}
	for key, value := range all {
		if strings.HasPrefix(key, api.Prefix) {
			found[key] = hide(value)
		}
	}
	return found
}

// resultsOf returns the results objects of a run, of every kind. What was looked
// at once is not looked at again: it cannot change.
func (w *world) resultsOf(ctx context.Context, run *batchv1.Job, hide func(string) string) ([]resultsState, error) {
	all, err := w.objectsOf(ctx, run)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var key strings.Builder
	parts := 0
	for _, object := range all {
		key.WriteString(string(object.UID) + "/" + object.ResourceVersion + " ")
		if object.Labels[api.PartLabel] != "" {
			parts++
		}
	}
	if known, ok := w.seen.Load(key.String()); ok {
		return known.([]resultsState), nil
	}
	var states []resultsState
	for _, object := range all {
		if object.Labels[api.PartLabel] != "" {
			continue
		}
		found, err := w.fetcher(run.Namespace, object.Kind)(ctx, object.Name)
		if err != nil {
			return nil, err
		}
		state := w.resultsStateOf(ctx, run, found, hide)
		state.Leftover = parts - state.Parts
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b resultsState) int { return strings.Compare(a.Name, b.Name) })
	w.seen.Store(key.String(), states)
	return states, nil
}

// objectsOf returns the metadata of what is labelled as made for a run, parts
// included, but for what the test itself made.
func (w *world) objectsOf(ctx context.Context, run *batchv1.Job) ([]metav1.PartialObjectMetadata, error) {
	var all []metav1.PartialObjectMetadata
	for _, kind := range []string{api.ResultsKindConfigMap, api.ResultsKindSecret} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
		err := w.List(ctx, &list, client.InNamespace(run.Namespace),
			client.MatchingLabels{api.CreatedLabel: api.True, api.JobUIDLabel: string(run.UID)})
		if err != nil {
			return nil, err
		}
		for _, object := range list.Items {
			if object.Kind = kind; object.Annotations[foreignAnnotation] == "" {
				all = append(all, object)
			}
		}
	}
	return all, nil
}

func (w *world) resultsStateOf(ctx context.Context, run *batchv1.Job, object *results.Object, hide func(string) string) resultsState {
	state := resultsState{
		Kind: object.Kind, Name: hide(object.Name), Labels: map[string]string{},
		Status: object.Data[api.DataStatus],
	}
	for key, value := range object.Labels {
		state.Labels[key] = hide(value)
	}
	for key := range object.Annotations {
		state.Annotations = append(state.Annotations, key)
	}
	for key := range object.Data {
		// Whether Kubernetes warns of something depends on how busy the machine is.
		if key != api.DataEvents {
			state.Keys = append(state.Keys, key)
		}
	}
	for key := range object.BinaryData {
		state.Keys = append(state.Keys, key)
	}
	slices.Sort(state.Keys)
	slices.Sort(state.Annotations)
	if list, err := object.Parts(); err == nil && list != nil {
		state.Parts = len(list.Parts)
	}
	if err := w.check(ctx, run, object, &state); err != nil {
		state.Wrong = hide(err.Error())
	}
	return state
}

// check returns what is wrong with results, by what the API server and the
// kubelet have.
func (w *world) check(ctx context.Context, run *batchv1.Job, object *results.Object, state *resultsState) error {
	if err := object.Verify(run, nil); err != nil {
		return err
	}
	if err := onTime(object); err != nil {
		return err
	}
	fetch := w.fetcher(run.Namespace, object.Kind)
	opened, err := resultsview.Open(ctx, object.Name, fetch)
	if err != nil {
		return err
	}
	why, _, _ := strings.Cut(opened.Capture.Why, " (")
	state.Capture = fmt.Sprintf("complete=%t %s", opened.Capture.Complete, why)
	logs, err := opened.Logs(ctx, fetch)
	if err != nil {
		return err
	}
	return w.compare(run, logs, state)
}

// rightTime is how far what the manager takes for the time of storing may be from
// what the API server does.
const rightTime = 2 * time.Minute

// onTime returns an error unless results say when they were stored.
func onTime(object *results.Object) error {
	at, err := time.Parse(time.RFC3339, object.Annotations[api.CreatedAtAnnotation])
	if err != nil {
		return err
	}
	if off := object.CreationTimestamp.Sub(at).Abs(); off > rightTime {
		return fmt.Errorf("stored %s from when they say", off)
	}
	return nil
}

// compare returns an error unless the logs are those of all pods of the run, to
// the byte.
func (w *world) compare(run *batchv1.Job, logs *resultsview.Logs, state *resultsState) error {
	wrote := map[string][]byte{}
	for _, pod := range w.kubelet.of(run.UID) {
		wrote[pod.Name] = pod.log
	}
	state.Missing = len(wrote) - len(logs.List)
	if told := strings.HasPrefix(state.Capture, "complete=false"); state.Missing < 0 || state.Missing > 0 && !told {
		return fmt.Errorf("%d logs are stored of %d pods", len(logs.List), len(wrote))
	}
	for _, log := range logs.List {
		whole, kept := wrote[log.Pod.Name], len(log.Head)+len(log.Tail)
		if kept > len(whole) || !bytes.HasPrefix(whole, log.Head) || !bytes.HasSuffix(whole, log.Tail) {
			return fmt.Errorf("of %d bytes of log %d are stored that it does not have", len(whole), kept)
		}
		if kept < len(whole) && log.Capture.Complete && len(log.Tail) == 0 {
			return fmt.Errorf("of %d bytes of log %d are stored", len(whole), kept)
		}
		state.Shortened = state.Shortened || kept < len(whole)
	}
	return nil
}

func (w *world) fetcher(namespace, kind string) resultsview.Fetch {
	return func(ctx context.Context, name string) (*results.Object, error) {
		stored := results.Empty(kind)
		err := w.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, stored)
		return results.Decode(stored), err
	}
}

// told returns what Events say about a run.
func (w *world) told(ctx context.Context, run *batchv1.Job, hide func(string) string) (outcomes, warnings []string, err error) {
	seen := map[string]time.Time{}
	var list eventsv1.EventList
	if err := w.List(ctx, &list, client.InNamespace(run.Namespace)); err != nil {
		return nil, nil, err
	}
	for _, event := range list.Items {
		if event.Regarding.UID != run.UID || event.Reason != api.ReasonJobProcessing {
			continue
		}
		if text := event.Type + " " + hide(event.Note); event.Action == api.ActionStore {
			if strings.Contains(text, "incomplete") {
				text, _, _ = strings.Cut(text, " (")
			}
			outcomes = append(outcomes, text)
		} else if hour := event.EventTime.Truncate(time.Hour); seen[event.Note].IsZero() || seen[event.Note].Equal(hour) {
			// One in an hour of the clock is one, another in the next hour may follow.
			seen[event.Note] = hour
			// What comes after is why, in the words of the API server.
			text, _, _ = strings.Cut(text, " (")
			text, _, _ = strings.Cut(text, ": ")
			warnings = append(warnings, text)
		}
	}
	slices.Sort(outcomes)
	slices.Sort(warnings)
	return outcomes, warnings, nil
}

// foreignAnnotation marks what the tests made in somebody else's name.
const foreignAnnotation = "oracle/foreign"

// foreign returns a ConfigMap as somebody else would make it.
func foreign(namespace, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, Annotations: map[string]string{foreignAnnotation: "true"},
	}}
}
