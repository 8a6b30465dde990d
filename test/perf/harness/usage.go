package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/perf/report"
)

// usage is what processes have used so far: seconds of CPU by component, and what
// the API server has counted.
type usage struct {
	at      time.Time
	cpu     map[string]float64
	counted counters
}

// managerProcess is the manager's name among the components.
const managerProcess = "job-handler"

// use returns what is used so far by the control plane and, unless it is nil, the
// manager.
func (w *world) use(ctx context.Context, m *manager) (usage, error) {
	components, err := w.cluster.Components(ctx)
	if err != nil {
		return usage{}, err
	}
	used := usage{at: time.Now(), cpu: map[string]float64{}}
	for _, component := range components {
		if used.cpu[component.Name], err = cpuOf(component.PID); err != nil {
			return usage{}, fmt.Errorf("reading what %s used: %w", component.Name, err)
		}
	}
	if m != nil {
		if used.cpu[managerProcess], err = cpuOf(m.PID()); err != nil {
			return usage{}, fmt.Errorf("reading what the manager used: %w", err)
		}
	}
	text, err := w.admin.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return usage{}, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	used.counted, err = count(text)
	return used, err
}

// addUsage adds to a scenario what its Jobs used between two looks: CPU in
// milliseconds per Job, requests per Job, and what flow control rejected.
func addUsage(s *report.Scenario, before, after usage, jobs int) {
	perJob := func(component string) float64 {
		return 1000 * (after.cpu[component] - before.cpu[component]) / float64(jobs)
	}
	s.Set(report.CPU, perJob(managerProcess))
	s.Set(report.CPUAPIServer, perJob(localcluster.APIServer))
	s.Set(report.CPUEtcd, perJob(localcluster.Etcd))
	s.Set(report.Rejected, after.counted.rejected-before.counted.rejected)
	s.Requests = map[string]float64{}
	total := 0.0
	for request, n := range after.counted.requests {
		if n -= before.counted.requests[request]; n > 0 {
			s.Requests[request] = n / float64(jobs)
			total += n / float64(jobs)
		}
	}
	s.Set(report.Requests, total)
}

func cpuOf(pid int) (float64, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return stat.CPUTime(), err
}

// memory is what a process holds, in bytes.
type memory struct{ resident, peak, heap float64 }

// memory returns what the manager holds: heap after a garbage collection.
func (m *manager) memory(ctx context.Context) (memory, error) {
	process, err := procfs.NewProc(m.PID())
	if err != nil {
		return memory{}, err
	}
	before, err := process.NewStatus()
	if err != nil {
		return memory{}, err
	}
	held := memory{peak: float64(before.VmHWM)}
	// Reading the heap's profile so collects garbage first.
	if err := m.fetch(ctx, "http://"+m.profiles+"/debug/pprof/heap?gc=1", io.Discard); err != nil {
		return memory{}, err
	}
	families, err := m.metrics(ctx)
	if err != nil {
		return memory{}, err
	}
	held.heap = gauge(families["go_memstats_heap_alloc_bytes"])
	after, err := process.NewStatus()
	held.resident = float64(after.VmRSS)
	return held, err
}

// resetPeak has the peak of the manager's memory begin again.
func (m *manager) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.PID()), []byte("5"), 0)
}

// metrics returns what the manager's own metrics are.
func (m *manager) metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	var text bytes.Buffer
	if err := m.fetch(ctx, m.MetricsURL()+"/metrics", &text); err != nil {
		return nil, err
	}
	return parse(text.Bytes())
}

func (m *manager) fetch(ctx context.Context, url string, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(to, response.Body)
	return err
}

// profile keeps a profile of the manager, a heap's or one of so many seconds of
// CPU, in a file of the scenario. It returns once that is complete.
func (w *world) profile(ctx context.Context, m *manager, scenario, kind string, seconds int) error {
	path := filepath.Join(w.settings.Output, fmt.Sprintf("%s-%s.pprof", scenario, kind))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	url := "http://" + m.profiles + "/debug/pprof/" + kind
	if seconds > 0 {
		url += fmt.Sprintf("?seconds=%d", seconds)
	}
	return errors.Join(m.fetch(ctx, url, file), file.Close())
}

// counters are what the API server counts.
type counters struct {
	// requests are those that clients make for Jobs, by verb, resource and, where
	// it is no success, status code. Watches, and dry runs are not among them.
	requests map[string]float64
	// rejected is what flow control rejected.
	rejected float64
}

// countedResources are those that handling Jobs takes.
var countedResources = map[string]bool{
	"jobs": true, "pods": true, "configmaps": true, "secrets": true, "events": true, "cronjobs": true, "namespaces": true,
}

// countedVerbs are those of single objects; CONNECT reads logs. Nobody applies
// but who installs the manager.
var countedVerbs = map[string]bool{"GET": true, "CONNECT": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

func count(text []byte) (counters, error) {
	families, err := parse(text)
	if err != nil {
		return counters{}, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	counted := counters{requests: map[string]float64{}}
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		if name := requestName(labels(metric)); name != "" {
			counted.requests[name] += metric.GetCounter().GetValue()
		}
	}
	for _, metric := range families["apiserver_flowcontrol_rejected_requests_total"].GetMetric() {
		counted.rejected += metric.GetCounter().GetValue()
	}
	return counted, nil
}

// requestName returns a request in words, "" for one that is not counted.
func requestName(l map[string]string) string {
	if !countedResources[l["resource"]] || !countedVerbs[l["verb"]] || l["dry_run"] != "" {
		return ""
	}
	name := l["verb"] + " " + l["resource"]
	if l["subresource"] == "log" {
		name = "GET pods/log"
	} else if l["subresource"] != "" {
		name += "/" + l["subresource"]
	}
	if code := l["code"]; code != "0" && code >= "300" {
		name += " " + code
	}
	return name
}

// writes returns how many of the requests write.
func (c counters) writes() float64 {
	sum := 0.0
	for name, n := range c.requests {
		if !strings.HasPrefix(name, "GET ") {
			sum += n
		}
	}
	return sum
}

func parse(text []byte) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

func labels(metric *dto.Metric) map[string]string {
	all := map[string]string{}
	for _, pair := range metric.GetLabel() {
		all[pair.GetName()] = pair.GetValue()
	}
	return all
}

// gauge returns the sum of a family's gauges and counters.
func gauge(family *dto.MetricFamily) float64 {
	sum := 0.0
	for _, metric := range family.GetMetric() {
		sum += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	return sum
}
