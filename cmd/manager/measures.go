package main

import (
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/version"
)

// measures are the metrics that several parts of the manager share.
type measures struct {
	jobs       *metrics.Jobs
	protection *metrics.Protection
	reading    *metrics.Reading
}

// newMeasures registers them, and the metric of the build.
func newMeasures() (*measures, error) {
	if err := metrics.NewBuild(metrics.Served(), version.Version); err != nil {
		return nil, err
	}
	m := &measures{}
	var err error
	if m.jobs, err = metrics.NewJobs(metrics.Served()); err != nil {
		return nil, err
	}
	if m.protection, err = metrics.NewProtection(metrics.Served()); err != nil {
		return nil, err
	}
	if m.reading, err = metrics.NewReading(metrics.Served()); err != nil {
		return nil, err
	}
	return m, nil
}
