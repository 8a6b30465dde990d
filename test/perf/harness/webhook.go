package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/test/perf/report"
	"github.com/job-handler/job-handler/webhooks"
)

const (
	// handlerRate is how many admission requests a second the handler gets.
	handlerRate = 200
	// handlerCalls is how many it gets for each creation.
	handlerCalls = 3
)

// webhook is Jobs that are created with and without it, and the handler alone.
type webhook struct{ creations int }

func (h webhook) run(ctx context.Context, w *world, r *report.Report) error {
	s := &report.Scenario{Name: "webhook", Title: "Jobs are created with and without the webhook"}
	m, err := w.startManagerWith(ctx, hostmanager.Webhook{})
	if err != nil {
		return err
	}
	err = h.measure(ctx, w, m, s)
	if ending := m.stop(ctx); err == nil {
		err = ending
	}
	if err != nil {
		return err
	}
	r.Scenarios = append(r.Scenarios, s)
	return m.Uninstall(ctx)
}

func (h webhook) measure(ctx context.Context, w *world, m *manager, s *report.Scenario) error {
	if err := m.AwaitAdmission(ctx); err != nil {
		return err
	}
	optedIn, err := w.namespace(ctx, true, small)
	if err != nil {
		return err
	}
	other, err := w.namespace(ctx, false, small)
	if err != nil {
		return err
	}
	// One after the other, and the two in turn, so that whatever else the machine
	// does is in both.
	var with, without []float64
	for i := range h.creations {
		for namespace, took := range map[string]*[]float64{optedIn: &with, other: &without} {
			began := time.Now()
			job := jobtest.MakeJob(namespace, fmt.Sprintf("job-%d", i)).Suspended().Obj()
			if _, err := w.admin.BatchV1().Jobs(namespace).Create(ctx, job, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("creating a Job: %w", err)
			}
			*took = append(*took, time.Since(began).Seconds())
		}
	}
	s.SetLatency("created with", with)
	s.SetLatency("created without", without)
	s.Set(report.Jobs, float64(h.creations))
	s.Set(report.Added, s.Latencies["created with"].P50-s.Latencies["created without"].P50)
	answers, err := h.callHandler(ctx, m, optedIn)
	if err != nil {
		return fmt.Errorf("calling the handler: %w", err)
	}
	s.SetLatency("handler", answers)
	return nil
}

// callHandler sends the handler admission requests at even intervals, and returns
// how long each answer took.
func (h webhook) callHandler(ctx context.Context, m *manager, namespace string) ([]float64, error) {
	review, err := reviewOf(jobtest.MakeJob(namespace, "reviewed").Obj())
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: handlerRate,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it is on loopback, and answers are looked at
	}}
	defer client.CloseIdleConnections()
	url := "https://" + m.WebhookAddress() + webhooks.PathJobInNamespace
	var mu sync.Mutex
	var took []float64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range handlerCalls * h.creations {
		if !until(ctx, began.Add(time.Duration(i)*time.Second/handlerRate)) {
			break
		}
		group.Go(func() error {
			began := time.Now()
			if err := callWebhook(ctx, client, url, review); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began).Seconds())
			return nil
		})
	}
	return took, group.Wait()
}

func reviewOf(job *batchv1.Job) ([]byte, error) {
	object, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	kind := metav1.GroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
	return json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: types.UID("review"), Kind: kind, Resource: metav1.GroupVersionResource(batchv1.SchemeGroupVersion.WithResource("jobs")),
			Namespace: job.Namespace, Name: job.Name, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: object},
		},
	})
}

// callWebhook returns an error unless the Job is allowed, and changed.
func callWebhook(ctx context.Context, client *http.Client, url string, review []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(review))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Response == nil || !answer.Response.Allowed || len(answer.Response.Patch) == 0 {
		return fmt.Errorf("a Job was not stamped: %s", body)
	}
	return nil
}
