package faults_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/jobtest"
)

const (
	// loadInterval makes 50 Jobs a second, where the machine carries so many: no more
	// than loadAtOnce are being created at once. Beyond that a slow machine would be
	// busy with nothing else, and the manager lose its lease.
	loadInterval = 20 * time.Millisecond
	loadAtOnce   = 8
	// createTimeout is far above what a creation takes, a webhook's timeout
	// included.
	createTimeout = time.Minute
)

// creation is how the creation of one Job went.
type creation struct {
	job  *batchv1.Job
	err  error
	took time.Duration
}

// create creates a Job and takes the time.
func create(ctx context.Context, job *batchv1.Job) creation {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	began := time.Now()
	err := admin.Create(ctx, job)
	return creation{job: job, err: err, took: time.Since(began)}
}

// load creates suspended Jobs in a Namespace all the time.
type load struct {
	namespace string
	stop      func()

	mu   sync.Mutex
	done []creation
}

// startLoad begins to create up to 50 Jobs a second, whatever becomes of each.
func startLoad(namespace string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{namespace: namespace}
	began := time.Now()
	var creating sync.WaitGroup
	creating.Go(func() {
		ticker := time.NewTicker(loadInterval)
		defer ticker.Stop()
		created, turns := 0, make(chan struct{}, loadAtOnce)
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			// A ticker leaves out what a busy machine is late for.
			for due := int(time.Since(began) / loadInterval); created < due && ctx.Err() == nil; created++ {
				number := created
				turns <- struct{}{}
				creating.Go(func() {
					defer func() { <-turns }()
					l.create(context.WithoutCancel(ctx), number)
				})
			}
		}
	})
	l.stop = sync.OnceFunc(func() {
		cancel()
		creating.Wait()
		took := time.Since(began)
		AddReportEntry("load", fmt.Sprintf("%d Jobs in %s, %.0f a second", len(l.done), took.Round(time.Millisecond),
			float64(len(l.done))/took.Seconds()))
	})
	DeferCleanup(l.stop)
	return l
}

func (l *load) create(ctx context.Context, i int) {
	result := create(ctx, jobtest.MakeJob(l.namespace, fmt.Sprintf("job-%d", i)).Suspended().Obj())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, result)
}

// soFar returns the creations that have ended.
func (l *load) soFar() []creation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]creation(nil), l.done...)
}

// last returns the Job that was created last.
func (l *load) last() *batchv1.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done[len(l.done)-1].job
}

// finish ends the load and returns every creation.
func (l *load) finish() []creation {
	l.stop()
	return l.soFar()
}

// failed returns why creations failed.
func failed(creations []creation) (errs []error) {
	for _, each := range creations {
		if each.err != nil {
			errs = append(errs, each.err)
		}
	}
	return errs
}

// missed returns the Jobs that were created without a stamp of admission.
func missed(creations []creation) (jobs []*batchv1.Job) {
	for _, each := range creations {
		if each.err == nil && stamped(each.job) != nil {
			jobs = append(jobs, each.job)
		}
	}
	return jobs
}
