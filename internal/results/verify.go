package results

import (
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/names"
)

// What Verify finds wrong; to be tested with errors.Is.
var (
	// ErrStranger: not results of a Job of this name. The object's name is
	// taken.
	ErrStranger = errors.New("not results of this Job")
	// ErrEarlierRun: the results of an earlier run of the same Job. The
	// object's name is taken, which is normal.
	ErrEarlierRun = errors.New("results of an earlier run of this Job")
	// ErrDamaged: made for this very run, but not whole or not about its pods.
	ErrDamaged = errors.New("damaged results of this run")
)

// IsMismatch reports whether err says that an object does not hold the results of
// a run, rather than that this cannot be found out.
func IsMismatch(err error) bool {
	return errors.Is(err, ErrStranger) || errors.Is(err, ErrEarlierRun) || errors.Is(err, ErrDamaged)
}

// Verify returns nil if the object holds the results of this very run of job, whole:
// it is Ours, labelled for this UID, its SHA-256 holds, and every one of pods is
// among those that it records (or may be among those that it only counts). Otherwise
// the error is one of ErrStranger, ErrEarlierRun and ErrDamaged, with details. It
// never panics, whatever the object holds.
func (o *Object) Verify(job *batchv1.Job, pods []types.UID) error {
	if err := o.verifyIdentity(job); err != nil {
		return err
	}
	if err := o.Whole(); err != nil {
		return err
	}
	return verifyRecord(o.Data[api.DataJobJSON], job, pods)
}

// verifyIdentity tells by the labels whose results the object holds.
func (o *Object) verifyIdentity(job *batchv1.Job) error {
	if err := o.verifyOurs(); err != nil {
		return err
	}
	uid := o.Labels[api.JobUIDLabel]
	switch {
	case o.keepsCaptures():
		return fmt.Errorf("%w: it holds captured pods", ErrStranger)
	case uid == "":
		return fmt.Errorf("%w: no label %s", ErrStranger, api.JobUIDLabel)
	case uid == string(job.UID):
		return nil
	case o.Labels[api.JobNameLabel] == names.LabelValue(job.Name):
		return fmt.Errorf("%w: UID %q", ErrEarlierRun, uid)
	default:
		return fmt.Errorf("%w: of Job %q", ErrStranger, o.Labels[api.JobNameLabel])
	}
}

// VerifyPart returns nil if the object holds the part that the results of job list,
// whole and immutable. Otherwise the error is as that of Verify.
func (o *Object) VerifyPart(job *batchv1.Job, want PartRecord) error {
	if err := o.verifyIdentity(job); err != nil {
		return err
	}
	if o.Labels[api.PartLabel] == "" {
		return fmt.Errorf("%w: not a part: no label %s", ErrDamaged, api.PartLabel)
	}
	return want.Check(o.BinaryData[api.DataLogsGzip])
}

// identity is the UID of a Job or a pod in job.json.
type identity struct {
	UID types.UID `json:"uid"`
}

// verifyRecord compares job.json with the run.
func verifyRecord(jobJSON string, job *batchv1.Job, pods []types.UID) error {
	var record struct {
		Schema  string         `json:"schema"`
		Job     identity       `json:"job"`
		Pods    []identity     `json:"pods"`
		Omitted OmittedRecords `json:"omitted"`
	}
	if err := boundedjson.Unmarshal(jobJSON, &record); err != nil {
		return fmt.Errorf("%w: reading %s: %w", ErrDamaged, api.DataJobJSON, err)
	}
	if record.Schema != api.SchemaV1 {
		return fmt.Errorf("%w: schema %q", ErrDamaged, record.Schema)
	}
	if record.Job.UID != job.UID {
		return fmt.Errorf("%w: %s is about UID %q", ErrDamaged, api.DataJobJSON, record.Job.UID)
	}
	unknown := sets.New(pods...)
	for _, p := range record.Pods {
		unknown.Delete(p.UID)
	}
	if unknown.Len() > record.Omitted.Pods {
		return fmt.Errorf("%w: %d pods of the run are not in it, and it left out %d",
			ErrDamaged, unknown.Len(), record.Omitted.Pods)
	}
	return nil
}

// Summary returns what a results object that Verify found good says of its logs:
// Content.Capture as it was when the object was built.
func (o *Object) Summary() (Summary, error) {
	var record struct {
		Capture RunCapture `json:"capture"`
	}
	if err := boundedjson.Unmarshal(o.Data[api.DataJobJSON], &record); err != nil {
		return Summary{}, fmt.Errorf("reading %s of %s/%s: %w", api.DataJobJSON, o.Namespace, o.Name, err)
	}
	return Summary(record.Capture), nil
}
