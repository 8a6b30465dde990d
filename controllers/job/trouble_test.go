package job

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/apierr"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultstore"
)

// Errors as the API server sends them.
var (
	configMaps = corev1.Resource("configmaps")
	kind       = schema.GroupKind{Kind: "ConfigMap"}

	errQuota       = apierrors.NewForbidden(configMaps, "x", errors.New("exceeded quota: objects, requested: count/configmaps=1"))
	errRights      = apierrors.NewForbidden(configMaps, "x", errors.New(`the manager cannot create resource "configmaps"`))
	errTerminating = func() error {
		err := apierrors.NewForbidden(configMaps, "x", errors.New("unable to create new content in namespace team because it is being terminated"))
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
		return err
	}()
	errTooLong = apierrors.NewInvalid(kind, "x", field.ErrorList{field.TooLong(field.NewPath(""), "", 1<<20)})
	errInvalid = apierrors.NewInvalid(kind, "x", field.ErrorList{field.Required(field.NewPath("data"), "")})
	errEtcd    = status(http.StatusInternalServerError, "etcdserver: request is too large")
)

func status(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}}
}

func TestClassify(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		want  apierr.Class
		cause string
	}{
		"the Job is gone":           {apierrors.NewNotFound(batchv1.Resource("jobs"), "x"), apierr.NotFound, "other"},
		"the namespace is gone":     {apierrors.NewNotFound(corev1.Resource("namespaces"), "x"), apierr.NotFound, "other"},
		"the namespace terminates":  {errTerminating, apierr.NotFound, "rights"},
		"another state":             {apierrors.NewConflict(batchv1.Resource("jobs"), "x", errors.New("modified")), apierr.Conflict, "other"},
		"a quota":                   {errQuota, apierr.Rejected, "quota"},
		"no rights":                 {errRights, apierr.Rejected, "rights"},
		"not valid":                 {errInvalid, apierr.Rejected, "other"},
		"too long":                  {errTooLong, apierr.Rejected, "size"},
		"a body too large":          {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), apierr.Rejected, "size"},
		"too large for etcd":        {errEtcd, apierr.Rejected, "size"},
		"every name taken":          {&resultstore.NameConflictError{Names: []string{"a-results"}}, apierr.Rejected, "other"},
		"not finished after all":    {results.ErrUnfinished, apierr.Rejected, "other"},
		"a change not valid now":    {&staleError{err: errInvalid}, apierr.Transient, "other"},
		"too many requests":         {apierrors.NewTooManyRequests("slow down", 1), apierr.Transient, "other"},
		"unavailable":               {apierrors.NewServiceUnavailable("away"), apierr.Transient, "other"},
		"an internal error":         {apierrors.NewInternalError(errors.New("webhook failed")), apierr.Transient, "other"},
		"a server's timeout":        {apierrors.NewServerTimeout(configMaps, "create", 1), apierr.Transient, "other"},
		"a request's timeout":       {apierrors.NewTimeoutError("too slow", 1), apierr.Transient, "other"},
		"taken meanwhile":           {apierrors.NewAlreadyExists(configMaps, "x"), apierr.Transient, "other"},
		"not authenticated":         {apierrors.NewUnauthorized("token"), apierr.Transient, "other"},
		"no connection":             {errors.New("dial tcp: connection refused"), apierr.Transient, "other"},
		"the process is ending":     {context.Canceled, apierr.Transient, "other"},
		"a webhook's denial":        {status(http.StatusBadRequest, "admission webhook denied the request"), apierr.Rejected, "other"},
		"a webhook's own code":      {status(http.StatusTeapot, "no"), apierr.Rejected, "other"},
		"a quota, by another's 500": {status(http.StatusInternalServerError, "exceeded quota"), apierr.Transient, "quota"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{test.err, fmt.Errorf("creating results team/x: %w", test.err)} {
				if got := classify(err); got != test.want {
					t.Errorf("%v: got %s, want %s", err, got, test.want)
				}
				if got := string(apierr.CauseOf(err)); got != test.cause {
					t.Errorf("%v: got cause %s, want %s", err, got, test.cause)
				}
			}
		})
	}
}

func TestErrorTexts(t *testing.T) {
	for want, err := range map[string]error{
		"changing the job: boom": &staleError{err: errors.New("boom")},
	} {
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestAnswer(t *testing.T) {
	later := ctrl.Result{RequeueAfter: 7 * time.Second}
	slowly := ctrl.Result{RequeueAfter: time.Minute, Priority: new(recheckPriority)}
	away := apierrors.NewServiceUnavailable("away")
	notFound := apierrors.NewNotFound(corev1.Resource("configmaps"), "report-results")
	team := jobtest.MakeNamespace("team").Obj()
	type answer struct {
		Result ctrl.Result
		Err    string
		Notes  []string
	}
	for name, test := range map[string]struct {
		err error
		// warnings is what writing a Warning is answered with.
		warnings error
		// there is what the cluster holds besides.
		there []client.Object
		want  answer
	}{
		"success":                      {want: answer{Result: later}},
		"gone":                         {err: apierrors.NewNotFound(batchv1.Resource("jobs"), "report"), want: answer{}},
		"a 404, but the Job is there":  {err: notFound, there: []client.Object{team, oneJob().Obj()}, want: answer{Err: notFound.Error()}},
		"a 404, another Job is there":  {err: notFound, there: []client.Object{team, oneJob().UID("next-uid").Obj()}},
		"a 404, the namespace is gone": {err: notFound, there: []client.Object{oneJob().Obj()}},
		"conflict":                     {err: apierrors.NewConflict(batchv1.Resource("jobs"), "report", errors.New("modified")), want: answer{Result: ctrl.Result{RequeueAfter: 100 * time.Millisecond}}},
		"passing":                      {err: away, want: answer{Err: away.Error()}},
		"refused":                      {err: errRights, want: answer{Result: slowly, Notes: []string{"This Job could not be handled yet, trying again: " + errRights.Error()}}},
		"refused, no Warning":          {err: errRights, warnings: errRights, want: answer{Result: slowly}},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(test.there...).WithInterceptorFuncs(interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
					if test.warnings != nil {
						return test.warnings
					}
					return c.Create(ctx, object, options...)
				},
			}).Build()
			r := &Reconciler{Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}, Live: c, Events: events.New(c, clocktesting.NewFakePassiveClock(noon), "test")}
			var got answer
			var err error
			got.Result, err = r.answer(t.Context(), oneJob().Obj(), later, test.err)
			if err != nil {
				got.Err = err.Error()
			}
			var sent eventsv1.EventList
			if err := c.List(t.Context(), &sent); err != nil {
				t.Fatal(err)
			}
			for _, event := range sent.Items {
				got.Notes = append(got.Notes, event.Note)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// The more often, the later; but never so late that the TTL, held off by the
// floor, could run out.
func TestRefusedRetry(t *testing.T) {
	for floor, want := range map[time.Duration][]time.Duration{
		time.Hour:        {time.Minute, 2 * time.Minute, 4 * time.Minute, 4 * time.Minute, 4 * time.Minute},
		10 * time.Minute: {time.Minute, 2 * time.Minute, 150 * time.Second, 150 * time.Second},
		5 * time.Minute:  {time.Minute, 75 * time.Second, 75 * time.Second},
	} {
		var got []time.Duration
		for i := range want {
			got = append(got, refusedRetry(i+1, floor))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("floor %s: -want +got\n%s", floor, diff)
		}
	}
}

// Each cause gets its Warning, and each but one an hour.
func TestAnswerWarnsByCause(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	r := &Reconciler{Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}, Events: events.New(c, clocktesting.NewFakePassiveClock(noon), "test")}
	for _, err := range []error{errQuota, errRights, errTooLong, errInvalid, errQuota, errRights, errEtcd} {
		if _, err := r.answer(t.Context(), oneJob().Obj(), ctrl.Result{}, err); err != nil {
			t.Fatal(err)
		}
	}
	var sent eventsv1.EventList
	if err := c.List(t.Context(), &sent); err != nil {
		t.Fatal(err)
	}
	if len(sent.Items) != 4 {
		t.Errorf("%d Warnings for quota, rights, size and another cause", len(sent.Items))
	}
}
