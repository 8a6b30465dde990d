package policy

import (
	"cmp"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/names"
)

// Policy is what is wanted for one Job. Every field holds a valid value.
type Policy struct {
	// ResultsName is the name wanted for the results object; empty where the
	// Job has no name yet and its user wished for none.
	ResultsName string
	// LogMode is one of LogModes.
	LogMode string
	// ResultsKind is api.ResultsKindConfigMap or api.ResultsKindSecret.
	ResultsKind string
	// ResultsTTL is how long results are kept after they were stored.
	ResultsTTL Delay
	// DeleteAfterSuccess and DeleteAfterFailure count from the Job's end.
	DeleteAfterSuccess SourcedDelay
	DeleteAfterFailure SourcedDelay
	// PropagateLabels lists the keys of the Job's labels to copy to the
	// results, each once, in the user's order; nil for none.
	PropagateLabels []string
	// Protect is whether a finalizer holds the Job until its results are stored.
	Protect Protection
	// LeftAlone is that of the Defaults.
	LeftAlone LeftAlone
}

// SourcedDelay is a delay and who asked for it.
type SourcedDelay struct {
	Delay
	Source Source
}

// Source tells where a value comes from.
type Source string

// The sources, the strongest first.
const (
	// SourceJob is the Job's own annotation.
	SourceJob Source = "Job annotation"
	// SourceJobTTL is the Job's own ttlSecondsAfterFinished (see OwnTTL).
	SourceJobTTL Source = "Job ttlSecondsAfterFinished"
	// SourceNamespace is the annotation of the Job's Namespace.
	SourceNamespace Source = "Namespace annotation"
	// SourceFlag is a field of Defaults that is set.
	SourceFlag Source = "flag"
	// SourceDefault is built in.
	SourceDefault Source = "default"
)

// Defaults are the operator's flags. The zero value sets none of them. Who
// fills it in validates it: see LogModes and ValidatePropagatable.
type Defaults struct {
	// LogMode applies where neither Job nor Namespace chose; empty is not set.
	LogMode string
	// ResultsTTL, DeleteAfterSuccess and DeleteAfterFailure apply where
	// neither Job nor Namespace chose; nil is not set.
	ResultsTTL         *Delay
	DeleteAfterSuccess *Delay
	DeleteAfterFailure *Delay
	// PropagatableLabels are the label keys that users may ask to propagate:
	// whole keys, or everything that starts with what stands before a
	// trailing *.
	PropagatableLabels []string
	// Protect applies where neither Job nor Namespace says; false is not set.
	Protect bool
	// LeftAlone are marks of Jobs that are stored and otherwise left alone, besides
	// those of known tools.
	LeftAlone LeftAlone
}

// Problems are the invalid values that Resolve met, in the order of the
// contract's table, those of the Job apart from those of its Namespace. Paths
// start at the object's own metadata.
type Problems struct {
	Job, Namespace field.ErrorList
}

var metadataPath = field.NewPath("metadata")

// Resolve returns what is wanted for job. For each value the Job's annotation
// comes first, then, for the two delays of deletion, the Job's own
// ttlSecondsAfterFinished, then the annotation of its Namespace, the flag and
// the default. Invalid values count as not set and are all reported, also
// where a stronger source hides them. Opting in is not looked at: see
// JobOptIn. Resolve changes neither argument.
func Resolve(job *batchv1.Job, namespaceAnnotations map[string]string, defaults Defaults) (Policy, Problems) {
	r := resolver{
		job:       layer{annotations: job.Annotations, path: metadataPath.Child("annotations")},
		namespace: layer{annotations: namespaceAnnotations, path: metadataPath.Child("annotations")},
		defaults:  defaults,
	}
	policy := r.resolve(job)
	return policy, Problems{Job: r.job.errs, Namespace: r.namespace.errs}
}

// ValidateJobTemplate returns every invalid value of a CronJob's template, its
// opting in included, with paths from the CronJob's root, such as
// spec.jobTemplate.metadata.annotations[job-handler/log-mode].
func ValidateJobTemplate(template *batchv1.JobTemplateSpec, defaults Defaults) field.ErrorList {
	metadata := field.NewPath("spec", "jobTemplate", "metadata")
	_, errs := optIn(template, metadata)
	r := resolver{
		job:      layer{annotations: template.Annotations, path: metadata.Child("annotations")},
		defaults: defaults,
	}
	r.resolve(&batchv1.Job{ObjectMeta: template.ObjectMeta, Spec: template.Spec})
	return append(errs, r.job.errs...)
}

type resolver struct {
	job, namespace layer
	ttl            *Delay
	defaults       Defaults
}

func (r *resolver) resolve(job *batchv1.Job) Policy {
	never := Delay{Never: true}
	logMode, resultsKind := api.LogModeFull, api.ResultsKindConfigMap
	r.ttl = r.ownTTL(job)
	policy := Policy{ResultsName: r.resultsName(job.Name), LeftAlone: r.defaults.LeftAlone}
	policy.LogMode = *cmp.Or(
		lookup(&r.job, api.LogModeAnnotation, parseLogMode),
		lookup(&r.namespace, api.LogModeAnnotation, parseLogMode),
		unlessEmpty(r.defaults.LogMode), &logMode)
	policy.ResultsKind = *cmp.Or(
		lookup(&r.job, api.ResultsKindAnnotation, parseResultsKind),
		lookup(&r.namespace, api.ResultsKindAnnotation, parseResultsKind),
		&resultsKind)
	policy.ResultsTTL = *cmp.Or(
		lookup(&r.job, api.ResultsTTLAnnotation, parseDelay),
		lookup(&r.namespace, api.ResultsTTLAnnotation, parseDelay),
		r.defaults.ResultsTTL, &never)
	policy.DeleteAfterSuccess = r.deletion(api.DeleteAfterSuccessAnnotation, r.defaults.DeleteAfterSuccess, Delay{})
	policy.DeleteAfterFailure = r.deletion(api.DeleteAfterFailureAnnotation, r.defaults.DeleteAfterFailure, never)
	policy.PropagateLabels = r.propagateLabels()
	policy.Protect = r.protection()
	return policy
}

func (r *resolver) resultsName(job string) string {
	if _, set := r.namespace.annotations[api.ResultsNameAnnotation]; set {
		r.namespace.errs = append(r.namespace.errs, field.Forbidden(
			r.namespace.path.Key(api.ResultsNameAnnotation), "can be set on a Job only"))
	}
	if wish := lookup(&r.job, api.ResultsNameAnnotation, parseResultsName); wish != nil {
		return *wish
	}
	if job == "" {
		return ""
	}
	return names.Results(job)
}

func (r *resolver) ownTTL(job *batchv1.Job) *Delay {
	lookup(&r.job, api.TTLAnnotation, parseTTLRecord)
	ttl := OwnTTL(job)
	if ttl == nil {
		return nil
	}
	return &Delay{After: time.Duration(*ttl) * time.Second}
}

func (r *resolver) deletion(key string, flag *Delay, fallback Delay) SourcedDelay {
	for _, candidate := range []struct {
		delay  *Delay
		source Source
	}{
		{lookup(&r.job, key, parseDelay), SourceJob},
		{r.ttl, SourceJobTTL},
		{lookup(&r.namespace, key, parseDelay), SourceNamespace},
		{flag, SourceFlag},
	} {
		if candidate.delay != nil {
			return SourcedDelay{Delay: *candidate.delay, Source: candidate.source}
		}
	}
	return SourcedDelay{Delay: fallback, Source: SourceDefault}
}

func (r *resolver) propagateLabels() []string {
	parse := parsePropagateLabels(r.defaults.PropagatableLabels)
	return *cmp.Or(
		lookup(&r.job, api.PropagateLabelsAnnotation, parse),
		lookup(&r.namespace, api.PropagateLabelsAnnotation, parse),
		new([]string))
}

// layer is one object's annotations and the problems found in them.
type layer struct {
	annotations map[string]string
	path        *field.Path
	errs        field.ErrorList
}

// lookup returns the parsed value of key, or nil where it is not set or not
// valid; what is wrong with it is added to the layer's problems.
func lookup[T any](l *layer, key string, parse func(*field.Path, string) (T, field.ErrorList)) *T {
	value, set := l.annotations[key]
	if !set {
		return nil
	}
	parsed, errs := parse(l.path.Key(key), value)
	l.errs = append(l.errs, errs...)
	if len(errs) > 0 {
		return nil
	}
	return &parsed
}

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
