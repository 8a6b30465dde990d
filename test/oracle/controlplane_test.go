package oracle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// outage is how long a part of the control plane is away.
	outage = 15 * time.Second
	// drained is how soon after it all that had ended is done with, on a busy machine
	// too. Pauses are 20 s at most; those of what is refused are four minutes.
	drained = 3 * time.Minute
	// crowd is how many Jobs there are in an outage.
	crowd = 20
)

// TestControlPlane takes parts of the control plane away while the manager is in
// the middle of its work. Nothing is deleted that is not stored, and afterwards
// all is done soon.
func TestControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-oracle")
	}
	w := newWorld(t)
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	cluster := w.Cluster()
	for _, component := range []string{localcluster.APIServer, localcluster.Etcd} {
		t.Run(component+" is killed and comes back", func(t *testing.T) {
			w.newScene(t).outage(
				func(ctx context.Context) error { return cluster.Kill(ctx, component) },
				func(ctx context.Context) error { return cluster.Restart(ctx, component) })
		})
		t.Run(component+" hangs and goes on", func(t *testing.T) {
			w.newScene(t).outage(
				func(ctx context.Context) error { return cluster.Pause(ctx, component) },
				func(ctx context.Context) error { return cluster.Resume(ctx, component) })
		})
	}
	t.Run("etcd has no space left", func(t *testing.T) {
		w.newScene(t).outage(
			func(ctx context.Context) error { return alarm(ctx, cluster.EtcdURL(), "ACTIVATE") },
			func(ctx context.Context) error { return alarm(ctx, cluster.EtcdURL(), "DEACTIVATE") })
	})
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, longQuiet) })
}

// outage has Jobs end, and a part of the control plane go away at one of the
// first writes about them.
func (s *scene) outage(begin, end func(context.Context) error) {
	s.t.Helper()
	// Pods can be asked for, and their logs not.
	s.tolerated = "Warning Logs cannot be read yet"
	runs := map[*batchv1.Job]flow{}
	for i := range crowd {
		f := []flow{success, failure, keptSuccess, success}[i%4]
		runs[s.run(f.job(s.namespace, fmt.Sprintf("job-%d", i)))] = f
	}
	for run := range runs {
		s.await("the Job has ended", func() bool { return finished(s.read(run)) })
	}
	begun := make(chan struct{})
	var once sync.Once
	p := s.start(func(*link) fault {
		return atWrite(crowd/2, before(func() {
			if err := begin(s.anytime()); err != nil {
				s.t.Error(err)
			}
			once.Do(func() { close(begun) })
		}))
	})
	<-begun
	wrote := len(p.written())
	time.Sleep(outage) //nolint:forbidigo // the fault lasts so long
	tried := len(p.written()) - wrote
	if err := end(s.anytime()); err != nil {
		s.t.Fatal(err)
	}
	over := time.Now()
	for run, f := range runs {
		s.leaves(run, s.clean[f.name].named(run.Name))
	}
	if took := time.Since(over); took > drained {
		s.t.Errorf("the Jobs were done with %s after the outage, want %s at most", took, drained)
	}
	// Pauses double from 100 ms: one Job is tried eight times in that time, and a
	// part of what is left of a pass.
	if most := crowd * 12; tried > most {
		s.t.Errorf("during the outage %d writes were tried, want %d at most", tried, most)
	}
	s.t.Logf("%d writes were tried during the outage; after %s the Jobs were done with", tried, time.Since(over).Round(time.Second))
}

// alarm raises or disarms the alarm that etcd raises when it is full: it takes
// no more writes then.
func alarm(ctx context.Context, etcd, action string) error {
	var answer struct {
		Header struct {
			MemberID string `json:"member_id"`
		} `json:"header"`
	}
	if err := ask(ctx, etcd+"/v3/cluster/member/list", map[string]any{}, &answer); err != nil {
		return err
	}
	return ask(ctx, etcd+"/v3/maintenance/alarm", map[string]any{
		"action": action, "alarm": "NOSPACE", "memberID": answer.Header.MemberID,
	}, &answer)
}

func ask(ctx context.Context, url string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s %w", url, got.Status, text, err)
	}
	return json.Unmarshal(text, answer)
}
