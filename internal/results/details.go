package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	// maxDetailed is how many containers are told of one by one.
	maxDetailed = 500
	// maxDetailBytes bounds containers and job.json together, so that logs have
	// the rest: detailShare sixteenths of what an object can hold.
	maxDetailBytes = api.MaxResultsBytes * detailShare / 16
	detailShare    = 9
	// maxIndented is up to how many containers job.json is laid out for people.
	maxIndented = 20
	// separators is more than the commas, newlines and blank lines between two
	// elements of either text take.
	separators = 16
)

// details are the texts that tell of containers one by one.
type details struct {
	pods []*podView
	// message bounds a message, in bytes.
	message int
	// indented tells how job.json is laid out.
	indented bool
	omitted  OmittedRecords
	// own tells of the Job's own results; nil if it reported none.
	own *OwnRecord
}

// chooseDetails marks the containers to tell of, the most important first,
// such that blocks, times copies, and the part of job.json about pods take at
// most budget bytes.
func chooseDetails(pods []*podView, budget, copies int) (*details, error) {
	containers := all(pods)
	chosen := byImportance(containers)
	chosen = chosen[:min(len(chosen), maxDetailed)]
	d := &details{pods: pods, message: messageLimit(chosen), indented: len(containers) <= maxIndented}
	known := map[*corev1.Pod]bool{}
	for _, c := range chosen {
		cost, err := d.cost(c, copies, !known[c.pod])
		if err != nil {
			return nil, err
		}
		if budget -= cost; budget < 0 {
			break
		}
		known[c.pod], c.detailed = true, true
	}
	d.count()
	if err := d.chooseInstances(chosen, max(0, budget)); err != nil {
		return nil, err
	}
	return d, nil
}

// cost returns the most that c takes in both texts, with its pod if that is
// new to them, without its earlier instances.
func (d *details) cost(c *containerView, copies int, newPod bool) (int, error) {
	record := d.record(c, (*instanceLog).largest)
	record.EarlierInstances, record.Instances = c.gone+len(c.earlier), nil
	pod := podRecord(c.pod, d.message)
	cost := copies * (len(block(pod, record)) + separators)
	size, err := d.size(record, 4)
	cost += size
	if err == nil && newPod {
		size, err = d.size(pod, 2)
		cost += size
	}
	return cost, err
}

// size returns how many bytes v takes in job.json at this depth of nesting.
func (d *details) size(v any, depth int) (int, error) {
	text, err := d.marshal(v, strings.Repeat("  ", depth))
	return len(text) + separators, err
}

// marshal returns v as JSON in the layout of d. Nothing is escaped for HTML.
func (d *details) marshal(v any, prefix string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if d.indented {
		e.SetIndent(prefix, "  ")
	}
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encoding job.json: %w", err)
	}
	return b.String(), nil
}

func (d *details) record(c *containerView, capture func(*instanceLog) CaptureRecord) ContainerRecord {
	r := containerRecord(c.Container, d.message)
	r.Capture = capture(&c.current)
	if c.previous != nil {
		previous := capture(c.previous)
		r.PreviousCapture = &previous
	}
	c.tellInstances(&r, capture)
	return r
}

// records returns the pods of job.json, with the captures that capture gives.
func (d *details) records(capture func(*instanceLog) CaptureRecord) []PodRecord {
	records := []PodRecord{}
	for _, p := range d.pods {
		r := podRecord(p.pod, d.message)
		for _, c := range p.containers {
			if c.detailed {
				r.Containers = append(r.Containers, d.record(c, capture))
			}
		}
		if len(r.Containers) > 0 {
			records = append(records, r)
		}
	}
	return records
}

func (d *details) count() {
	for _, p := range d.pods {
		detailed := 0
		for _, c := range p.containers {
			if c.detailed {
				detailed++
			}
		}
		d.omitted.Containers += len(p.containers) - detailed
		if detailed == 0 {
			d.omitted.Pods++
		}
	}
}

// blocks returns the value of containers, given how many pods are missing.
func (d *details) blocks(missing missingPods) string {
	var blocks []string
	for _, p := range d.pods {
		for _, c := range p.containers {
			if c.detailed {
				blocks = append(blocks, block(podRecord(p.pod, 0), containerRecord(c.Container, d.message)))
			}
		}
	}
	if n := int64(d.omitted.Containers); n > 0 {
		blocks = append(blocks, fmt.Sprintf("[job-handler: %s more left out here]\n", logtext.Count(n, "container")))
	}
	if note := missing.note("container state"); note != "" {
		blocks = append(blocks, note)
	}
	if len(blocks) == 0 {
		blocks = append(blocks, noPodNote)
	}
	return strings.Join(blocks, "\n")
}
