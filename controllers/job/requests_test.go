package job_test

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/capture"
)

// requests counts what is asked of the API server, by method, resource and name,
// with the code of the answer.
type requests struct {
	http.RoundTripper

	mu    sync.Mutex
	count map[string]int
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.count[fmt.Sprintf("%s %s %d", request.Method, path.Base(request.URL.Path), response.StatusCode)]++
	}
	return response, err
}

// about returns the requests for objects of a name, or of one that is made of it, and
// creations.
func (r *requests) about(name string) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := maps.Clone(r.count)
	maps.DeleteFunc(found, func(request string, _ int) bool {
		return !strings.Contains(request, " "+name+" ") && !strings.Contains(request, " "+name+"-") &&
			!strings.HasPrefix(request, http.MethodPost)
	})
	return found
}

var _ = Describe("A Job with one container", func() {
	It("costs five requests besides its log's, also if it was there before the manager", func(ctx SpecContext) {
		counted := &requests{count: map[string]int{}}
		connection := managerConfig
		DeferCleanup(func() { managerConfig = connection })
		managerConfig = rest.CopyConfig(connection)
		managerConfig.Wrap(func(next http.RoundTripper) http.RoundTripper {
			counted.RoundTripper = next
			return counted
		})
		object := running(ctx, aJob())
		_, captures := newConsole(capture.Options{})
		startManager(ctx, &logs{captures: captures}, namespace)
		Eventually(counted.about).WithArguments("configmaps").Should(HaveKey("GET configmaps 200"), "what was captured before is looked for")

		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(kube.Get(ctx, client.ObjectKeyFromObject(object), &batchv1.Job{}))
		}).Should(BeTrue())

		five := Equal(map[string]int{
			"POST configmaps 201": 1, "POST events 201": 1, "PATCH job 200": 1, "GET job-results 200": 1, "DELETE job 200": 1,
		})
		Eventually(counted.about).WithArguments("job").Should(five)
		Consistently(counted.about).WithArguments("job").Should(five)
		Expect(counted.about("events")).NotTo(HaveKey("GET events 200"), "Events of a Job that completed are listed")
	}, SpecTimeout(specTimeout))
})
