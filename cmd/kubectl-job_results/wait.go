package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/resultsview"
)

const (
	// aWeek replaces a negative timeout, as in kubectl wait.
	aWeek = 7 * 24 * time.Hour
	// The next look comes after an event, but not before shortPause. Without events it
	// comes after longPause, or after pollPause if some events cannot be seen.
	shortPause, pollPause, longPause = 500 * time.Millisecond, 2 * time.Second, 30 * time.Second
	// recent is the age from which results get a note that they are old.
	recent = time.Minute
)

const waitDescription = `Wait until the results of a Job are stored, and say how it ended.

Exits with 0 if the Job completed, 1 if it failed, 2 if there were no results in
time, and 3 as soon as no results can come any more, or on any other error: the
Job is not opted in, its results expired or were deleted, it was deleted before
it finished, or they are in a Secret that you may not read and the Job cannot
tell its outcome itself.

NAME is a Job's name or a results object's. While there is a Job of this name, it
is that run that counts. If there is none, it is the newest run that has results:
the Job may have been deleted as soon as they were stored. If there are none
either, wait waits for the Job to be created.

A Job that is run again and again under one name has results of earlier runs. To
start waiting before the next run is created, use --new: it waits for a run whose
results are not there yet. Do not use --new after the Job was created: if it ends
quickly, its results are there already.`

// waitOptions are the flags of wait.
type waitOptions struct {
	*plugin
	target  target
	timeout time.Duration
	fresh   bool
}

func newWait(p *plugin) *cobra.Command {
	o := &waitOptions{plugin: p}
	command := &cobra.Command{
		Use: "wait NAME", Short: "Wait until the results of a Job are stored", Long: waitDescription,
		// Exit code 1 means that the Job failed.
		Args: func(command *cobra.Command, args []string) error {
			return useless(cobra.ExactArgs(1)(command, args))
		},
		Example: "  # After the Job was created\n" +
			"  kubectl apply -f job.yaml && kubectl job-results wait nightly-report --timeout=1h && echo it completed\n\n" +
			"  # Before it is created again: earlier runs do not count\n" +
			"  kubectl job-results wait nightly-report --new --timeout=1h & kubectl replace --force -f job.yaml; wait $!",
		ValidArgsFunction: p.completeAwaited,
		RunE: func(command *cobra.Command, args []string) error {
			o.target.name = args[0]
			return o.run(command.Context())
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return useless(err) })
	o.target.addFlags(command)
	command.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second,
		"How long to wait; 0 checks once, less than 0 waits for a week.")
	command.Flags().BoolVar(&o.fresh, "new", false,
		"Wait for a run whose results do not exist yet when the command starts. Results of earlier runs do not count.")
	return command
}

// useless returns err with the exit code of a wait that cannot succeed.
func useless(err error) error {
	var exit *exitCodeError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	return &exitCodeError{code: exitWaitError, err: err}
}

func (o *waitOptions) run(ctx context.Context) error {
	if o.fresh && o.target.run != "" {
		return useless(errors.New("--new and --run exclude each other: a run that has a UID is not new"))
	}
	c, err := o.connect()
	if err != nil {
		return useless(err)
	}
	w := &waiter{waitOptions: o, cluster: c, awaited: awaited{fresh: o.fresh, in: c.namespace}}
	came, err := w.await(ctx)
	if err != nil {
		return useless(err)
	}
	return o.print(came)
}

// ending is how a run ended.
type ending struct {
	job, status, object string
}

func (o *waitOptions) print(e *ending) error {
	fmt.Fprintf(o.Out, "job %s %s: %s\n", safe(e.job), safe(e.status), safe(e.object))
	if e.status != api.StatusCompleted {
		return &exitCodeError{code: exitFailed}
	}
	return nil
}

// waiter waits for a run.
type waiter struct {
	*waitOptions
	*cluster
	awaited
	// said is the last message about what wait waits for.
	said string
}

func (w *waiter) await(ctx context.Context) (*ending, error) {
	s, err := w.resolve(ctx, w.target)
	if err != nil {
		return nil, err
	}
	w.start(s)
	if w.timeout == 0 {
		w.tells = true
		if e, _, err := w.conclude(ctx, s); e != nil || err != nil {
			return e, err
		}
		return nil, w.timedOut(s)
	}
	limit := w.timeout
	if limit < 0 {
		limit = aWeek
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e, s, err := w.follow(limited, s)
	if e == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return nil, w.timedOut(s)
	}
	return e, err
}

// follow looks repeatedly until the run has ended or cannot get results. It starts with
// s, and returns the last look.
func (w *waiter) follow(ctx context.Context, s *subject) (*ending, *subject, error) {
	var events *watching
	of := ""
	defer func() { events.stop() }()
	for {
		if s.target.name != of || events == nil {
			events.stop()
			of = s.target.name
			events = w.watch(ctx, of)
			w.tells = events.jobs
		}
		e, d, err := w.conclude(ctx, s)
		if e != nil || err != nil {
			return e, s, err
		}
		w.say(d.text)
		if err := w.pause(ctx, s, events, d.soon); err != nil {
			return nil, s, err
		}
		next, err := w.resolve(ctx, w.target)
		switch {
		case err == nil:
			s = next
		case apierrors.IsForbidden(err), ctx.Err() != nil:
			return nil, s, err
		default:
			// The API server may be back before the time is over.
			w.say(err.Error())
		}
	}
}

// conclude returns the outcome in s, or an error if there will be none.
func (w *waiter) conclude(ctx context.Context, s *subject) (*ending, decision, error) {
	d := w.decide(s)
	switch {
	case d.never != "":
		return nil, d, errors.New(d.never)
	case d.told != nil:
		fmt.Fprintf(w.ErrOut, "Note: you may not read the results; this is what the Job itself shows. You lack the %s.\n", secretsRight(w.in))
		status := d.told.Annotations[api.StatusAnnotation]
		return &ending{d.told.Name, status, api.ResultsKindSecret + " " + d.told.Annotations[api.ResultsNameAnnotation]}, d, nil
	case d.found != nil:
		run, err := w.open(ctx, d.found.kind, d.found.Name)
		if err != nil {
			return nil, d, err
		}
		return w.ended(s, run), d, nil
	case d.run != nil:
		return w.ended(s, d.run), d, nil
	}
	return nil, d, nil
}

// ended returns how run ended, and prints a note if it may be another run than expected.
func (w *waiter) ended(s *subject, run *resultsview.Run) *ending {
	old := run.Finished().Before(w.clock.Now().Add(-recent))
	if old && w.said == "" && w.job == nil && w.target.run == "" && !s.named {
		why := "there is no Job of this name now"
		if s.job.hidden {
			why = "without the right to get Jobs the command cannot tell whether the Job runs again"
		}
		fmt.Fprintf(w.ErrOut, "Note: this run finished %s; %s. To wait for the next run: kubectl job-results wait %s --new\n",
			ago(w.clock.Now(), run.Finished()), why, safe(s.target.name))
	}
	return &ending{run.Job.Name, run.Status, run.String()}
}

// say prints what wait waits for, unless it printed that last.
func (w *waiter) say(text string) {
	if text == w.said {
		return
	}
	if w.said == "" {
		fmt.Fprintf(w.ErrOut, "Waiting for %s ...\n", safe(text))
	} else {
		fmt.Fprintf(w.ErrOut, "Still waiting for %s ...\n", safe(text))
	}
	w.said = text
}

// pause returns when the next look is due.
func (w *waiter) pause(ctx context.Context, s *subject, events *watching, soon bool) error {
	earliest, latest := time.After(shortPause), time.After(longest(s, events, soon))
	for happened := false; earliest != nil || !happened; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-latest:
			return nil
		case <-earliest:
			earliest = nil
		case job := <-events.events:
			happened = true
			if job != nil {
				w.notice(s, job)
			}
		}
	}
	return nil
}

// longest returns the pause without events.
func longest(s *subject, events *watching, soon bool) time.Duration {
	switch {
	case soon:
		return shortPause
	case !events.jobs, !events.results, s.mayBeObject():
		return pollPause
	default:
		return longPause
	}
}

// timedOut returns the error after the timeout, with the reason.
func (w *waiter) timedOut(s *subject) error {
	why := "no results yet; waited for " + w.decide(s).text
	if job := s.job.job; job != nil && w.wanted(s, string(job.UID)) {
		why = s.job.whyMissing(w.in, s.target.name)
	}
	return &exitCodeError{code: exitTimedOut, err: fmt.Errorf("timed out after %s: %s", w.timeout, why)}
}
