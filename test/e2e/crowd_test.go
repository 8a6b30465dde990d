package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

const (
	// crowdPods pods with crowdContainers containers each are captured at once.
	crowdPods, crowdContainers = 20, 10
	// crowdLines is how many lines each writes: 1 MiB.
	crowdLines = 16 << 10
	// captureMemory is the default of --capture-memory.
	captureMemory = 64 << 20
)

// manyCaptures: the logs of 200 containers that are deleted at the same moment, of 1
// MiB each, take no more memory than they may; of each there are head and tail, to the
// last words or with the reason why they are missing: a busy kubelet removes logs
// before all of them are read.
func manyCaptures(s *story) {
	s.optedIn()
	before := s.restarts()
	leader, identity := s.leader()
	port := s.forward(leader, 8080)
	// The kubelet removes the logs of a pod as soon as it has ended: there has to be
	// time to read them, on a busy machine too. That they wait must cost nothing.
	script := `trap 'sleep 30; echo "got TERM"; exit 1' TERM; ` + writes(crowdLines) + `sleep 3600 & wait`
	b := s.job("crowd", script).Completions(crowdPods, crowdPods).GracePeriod(180)
	for i := range crowdContainers - 1 {
		b.Container(fmt.Sprintf("more%d", i), script)
	}
	job := s.start(b)
	s.running(job, crowdPods)
	var most, pods, cuts float64
	sampled := s.sample(port, func(value func(string) float64) {
		most = max(most, value("job_handler_capture_memory_bytes"))
		pods = max(pods, value("job_handler_capture_pods"))
		cuts = value("job_handler_capture_cuts_total")
	})
	s.change(job, func() { job.Spec.ActiveDeadlineSeconds = new(int64(1)) })
	r := s.stored(s.reported(job))
	sampled()

	s.w.say("%s: %.1f MiB at most for %.0f pods", s.namespace, most/(1<<20), pods)
	s.Expect(most).To(BeNumerically("<=", captureMemory))
	s.Expect(cuts).To(BeNumerically(">", 0), "there was room for all of them")
	s.Expect(pods).To(BeEquivalentTo(crowdPods))
	s.Expect(s.lease(s)).To(Equal(identity), "another replica leads")
	s.Expect(s.restarts()).To(Equal(before), "restarts of the manager's containers")
	logs, whole := r.logs(), 0
	s.Expect(logs).To(HaveLen(crowdPods * crowdContainers))
	for _, log := range logs {
		head, rest, marked := strings.Cut(log.Text, "[job-handler: ")
		s.Expect(marked).To(BeTrue(), "pod %s, container %s", log.Pod, log.Container)
		s.Expect(head).To(Equal(numbered(1, len(head)/lineSize)))
		_, tail, _ := strings.Cut(rest, "\n")
		if last, said := strings.CutSuffix(tail, gotTerm); said {
			whole++
			s.Expect(last).To(Equal(numbered(crowdLines-len(last)/lineSize+1, crowdLines)))
		}
	}
	named := 0
	for _, pod := range r.record.Pods {
		for _, container := range pod.Containers {
			if container.Capture.Reason == results.ReasonPodGone {
				named++
			} else {
				s.Expect(container.Capture.BytesSeen).To(BeEquivalentTo(crowdLines*lineSize + len(gotTerm)))
			}
		}
	}
	s.w.say("%s: %d of %d logs with their last words", s.namespace, whole, len(logs))
	s.Expect(whole).To(BeNumerically(">", 0))
	s.Expect(whole+named).To(BeNumerically(">=", len(logs)), "what is missing is named")
}

var forwarding = regexp.MustCompile(`^Forwarding from 127\.0\.0\.1:(\d+) `)

// forward has a port of this machine lead to one of a pod of the manager until the
// story ends, and returns it.
func (s *story) forward(pod *corev1.Pod, port int) (local int) {
	s.t.Helper()
	command := exec.CommandContext(s.ctx(), s.w.cluster.Kubectl(), "--kubeconfig", s.w.cluster.Kubeconfig(),
		"--namespace", pod.Namespace, "port-forward", "--address=127.0.0.1", "pod/"+pod.Name, fmt.Sprintf(":%d", port))
	output, err := command.StdoutPipe()
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(command.Start()).To(Succeed())
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(line).To(MatchRegexp(forwarding.String()))
	local, err = strconv.Atoi(forwarding.FindStringSubmatch(line)[1])
	s.Expect(err).NotTo(HaveOccurred())
	return local
}

// sample looks at the metrics on a port, again and again until the function that it
// returns is called.
func (s *story) sample(port int, look func(value func(name string) float64)) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx())
	var sampling sync.WaitGroup
	var failed error
	sampling.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil && failed == nil {
			values, err := metrics(ctx, port)
			switch {
			case err == nil:
				look(func(name string) float64 { return values[name] })
			case ctx.Err() == nil:
				failed = err
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	return func() {
		s.t.Helper()
		cancel()
		sampling.Wait()
		s.Expect(failed).NotTo(HaveOccurred())
	}
}

// metrics returns the values of the metrics without labels that are served on a port.
func metrics(ctx context.Context, port int) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", port), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	values := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = value
		}
	}
	return values, lines.Err()
}
