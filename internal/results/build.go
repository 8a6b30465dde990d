package results

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/why"
)

const (
	// MinBytes is the least that MaxBytes of a Run can be: 32 KiB.
	MinBytes = 32 << 10
	// maxJobMessage bounds the message of the Job's condition, in bytes, maxMessages
	// that with the explanation.
	maxJobMessage = 2 << 10
	maxMessages   = 4 << 10
)

// ErrUnfinished is returned by Build for a run without a Job or an outcome.
var ErrUnfinished = errors.New("the Job has not finished")

// Content is what a results object holds.
type Content struct {
	// Data and BinaryData are the values; in sum, with those of Parts, at most the
	// run's MaxBytes.
	Data       map[string]string
	BinaryData map[string][]byte
	// Parts are pieces of api.DataLogsGzip where that does not fit into the object.
	// They are to be stored first, and then listed by ListParts.
	Parts []Part
	// Labels and Annotations are those of the object.
	Labels      map[string]string
	Annotations map[string]string
	// Capture tells whether the logs are all here.
	Capture Summary
	// Totals sum up what became of the logs.
	Totals Totals
	// Explanation is what explains most why the Job failed.
	Explanation why.Explanation
}

// Totals are sums over all logs of a run, those of containers included that are
// not detailed.
type Totals struct {
	// KeptBytes are those that are stored, LeftOutBytes those that were read besides.
	KeptBytes, LeftOutBytes int64
	// Redactions is how often something was replaced, in messages too.
	Redactions int64
}

// Build returns the results of run. Every value of Data is valid UTF-8 and, but
// for the Job's own results, which are as their container wrote them, free of
// control characters other than tab and newline. The same run gives the same
// content. It returns ErrUnfinished for a run that has not finished.
func Build(run Run) (*Content, error) {
	if run.Job == nil || !run.Outcome.Finished() {
		return nil, ErrUnfinished
	}
	if run.LogMode != api.LogModeStatus && run.LogMode != api.LogModeFollow {
		run.LogMode = api.LogModeFull
	}
	cut := findCut(run.Pods)
	run.redactMessages()
	run.explain()
	pods := view(&run)
	data := outcomeData(&run)
	own := chooseOwn(&run, pods, cut, run.limit())
	maps.Copy(data, own.data)
	budget := run.limit() - size(data)

	detail, err := chooseDetails(pods, detailBudget(budget-own.listed), detailCopies(&run))
	if err != nil {
		return nil, err
	}
	detail.own = own.record
	reserved, err := detail.reserve(&run)
	if err != nil {
		return nil, err
	}
	blocks := detail.blocks(run.missing())
	data[api.DataContainers], data[api.DataLogs] = blocks, blocks
	c := &Content{Data: data}
	if run.LogMode != api.LogModeStatus {
		logs, err := packLogs(pods, run.missing(), run.rooms(budget-len(blocks)-reserved))
		if err != nil {
			return nil, err
		}
		c.setLogs(logs)
	}
	c.Capture, c.Totals, c.Explanation = summarize(&run, pods), totals(&run, pods), run.explanation
	data[api.DataJobJSON], err = detail.jobJSON(&run, c.Capture, (*instanceLog).stored)
	if err != nil {
		return nil, err
	}
	c.Labels, c.Annotations = runLabels(&run), runAnnotations(&run)
	c.seal()
	return c, nil
}

// seal annotates the content with its size and its digest.
func (c *Content) seal() {
	c.Annotations[api.SHA256Annotation] = Digest(c.Data, c.BinaryData)
	c.Annotations[api.BytesAnnotation] = strconv.Itoa(c.Bytes())
}

func totals(run *Run, pods []*podView) Totals {
	t := Totals{Redactions: run.redacted.Total()}
	for _, c := range all(pods) {
		for _, log := range c.instances() {
			stored := log.stored()
			t.KeptBytes += stored.BytesKept
			t.LeftOutBytes += stored.BytesSeen - stored.BytesKept
		}
	}
	return t
}

// AllBytes returns Bytes with those of the parts.
func (c *Content) AllBytes() int {
	n := c.Bytes()
	for _, part := range c.Parts {
		n += len(part.Bytes)
	}
	return n
}

// Bytes returns the sum of the sizes of all values of the object itself, in
// bytes.
func (c *Content) Bytes() int {
	n := size(c.Data)
	for _, v := range c.BinaryData {
		n += len(v)
	}
	return n
}

func size(data map[string]string) int {
	n := 0
	for _, v := range data {
		n += len(v)
	}
	return n
}

// limit is what the object itself may hold.
func (run *Run) limit() int { return min(run.total(), api.MaxResultsBytes) }

// total is what the object and its parts may hold.
func (run *Run) total() int {
	if run.MaxBytes <= 0 {
		return api.MaxResultsBytes
	}
	return max(MinBytes, min(run.MaxBytes, api.MostResultsBytes))
}

// detailBudget is what details may take of budget.
func detailBudget(budget int) int { return min(maxDetailBytes, budget*detailShare/16) }

// detailCopies is how many values hold the containers block.
func detailCopies(run *Run) int {
	if run.LogMode == api.LogModeStatus {
		return 2
	}
	return 1
}

// outcomeData returns the values about the Job as a whole.
func outcomeData(run *Run) map[string]string {
	data := map[string]string{
		api.DataJobName: line(run.Job.Name),
		api.DataStatus:  run.Outcome.Status(),
	}
	optional := map[string]string{
		api.DataCompletionTime: rfc3339(run.Outcome.FinishTime),
		api.DataStartTime:      startTime(run),
		api.DataDuration:       duration(run),
		api.DataReason:         logtext.Line(run.Outcome.Reason, maxReason),
		api.DataMessage:        run.message(),
		api.DataEvents:         run.eventsText(),
	}
	maps.DeleteFunc(optional, func(_, value string) bool { return value == "" })
	maps.Copy(data, optional)
	return data
}

func startTime(run *Run) string {
	if run.Job.Status.StartTime == nil {
		return ""
	}
	return timestamp(*run.Job.Status.StartTime)
}

func duration(run *Run) string {
	d, known := jobstatus.Duration(run.Job, run.Outcome)
	if !known {
		return ""
	}
	return d.Truncate(time.Second).String()
}

func runLabels(run *Run) map[string]string {
	labels := map[string]string{}
	for key, value := range run.Labels {
		if !strings.HasPrefix(key, api.Prefix) {
			labels[key] = value
		}
	}
	labels[api.CreatedLabel] = api.True
	labels[api.JobNameLabel] = names.LabelValue(run.Job.Name)
	labels[api.StatusLabel] = run.Outcome.Status()
	labels[api.JobUIDLabel] = string(run.Job.UID)
	if run.CronJob != "" {
		labels[api.CronJobLabel] = names.LabelValue(run.CronJob)
	}
	return labels
}

func runAnnotations(run *Run) map[string]string {
	annotations := map[string]string{
		api.CreatedAtAnnotation: rfc3339(run.CreatedAt),
	}
	if run.ExpiresAt != nil {
		annotations[api.ExpiresAtAnnotation] = rfc3339(*run.ExpiresAt)
	}
	return annotations
}
