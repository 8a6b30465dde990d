package policy

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/job-handler/job-handler/internal/api"
)

// Protection is whether a Job must not go before its results are stored, and
// who says so.
type Protection struct {
	Wanted bool
	Source Source
}

// Asked reports whether the Job or its Namespace says, either way, rather than
// the operator or nobody.
func (p Protection) Asked() bool {
	return p.Source == SourceJob || p.Source == SourceNamespace
}

// Protected reports whether api.ResultsFinalizer is on the Job.
func Protected(job metav1.Object) bool {
	return slices.Contains(job.GetFinalizers(), api.ResultsFinalizer)
}

// Protect puts api.ResultsFinalizer on the Job, or takes it away if it is not
// wanted, and reports whether that changed the Job. It puts none on a Job that
// is being deleted: the API server takes no further finalizers then. Those of
// others stay, in their order.
func Protect(job *batchv1.Job, wanted bool) (changed bool) {
	switch {
	case Protected(job) == wanted, wanted && job.DeletionTimestamp != nil:
		return false
	case wanted:
		job.Finalizers = append(slices.Clone(job.Finalizers), api.ResultsFinalizer)
	default:
		job.Finalizers = slices.DeleteFunc(slices.Clone(job.Finalizers), func(finalizer string) bool {
			return finalizer == api.ResultsFinalizer
		})
	}
	return true
}

func (r *resolver) protection() Protection {
	for _, candidate := range []struct {
		wanted *bool
		source Source
	}{
		{lookup(&r.job, api.ProtectAnnotation, parseBool), SourceJob},
		{lookup(&r.namespace, api.ProtectAnnotation, parseBool), SourceNamespace},
	} {
		if candidate.wanted != nil {
			return Protection{Wanted: *candidate.wanted, Source: candidate.source}
		}
	}
	if r.defaults.Protect {
		return Protection{Wanted: true, Source: SourceFlag}
	}
	return Protection{Source: SourceDefault}
}

func parseBool(path *field.Path, value string) (bool, field.ErrorList) {
	_, errs := oneOf(path, value, []string{api.True, api.False})
	return value == api.True, errs
}
