package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

const (
	// How many Jobs a second are created while certificates are rotated, and by
	// how many clients.
	loadRate    = 50
	loadClients = 8
	// beforeAndAfter is how many are created before and after a rotation.
	beforeAndAfter = 5 * loadRate
)

// load creates suspended Jobs at a steady rate.
type load struct {
	s    *story
	stop func()
	// created counts Jobs; missed those that admission did not stamp.
	created, missed atomic.Int64

	mu     sync.Mutex
	failed []error
}

func (s *story) startLoad() *load {
	ctx, cancel := context.WithCancel(s.ctx())
	l := &load{s: s}
	var clients sync.WaitGroup
	next := make(chan int)
	for range loadClients {
		clients.Go(func() {
			for n := range next {
				l.create(n)
			}
		})
	}
	clients.Go(func() {
		defer close(next)
		ticker := time.NewTicker(time.Second / loadRate)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				next <- n
			}
		}
	})
	l.stop = func() {
		cancel()
		clients.Wait()
	}
	return l
}

// create creates a Job and looks at what admission made of it.
func (l *load) create(n int) {
	job := l.s.job(fmt.Sprintf("job-%d", n), "true").Suspended().Obj()
	if err := l.s.w.client.Create(l.s.ctx(), job); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, err)
		return
	}
	l.created.Add(1)
	if !stamped(job) {
		l.missed.Add(1)
	}
}

// stamped is true for a Job that carries all that the webhook writes.
func stamped(job *batchv1.Job) bool {
	return job.Labels[api.EnabledLabel] == api.True && job.Spec.Template.Labels[api.EnabledLabel] == api.True &&
		job.Annotations[api.ResultsNameAnnotation] != ""
}

// during creates Jobs before, while and after something happens; none may fail.
func (s *story) during(happen func()) *load {
	s.t.Helper()
	s.optedIn()
	l := s.startLoad()
	defer l.stop()
	l.await(beforeAndAfter)
	happen()
	l.await(beforeAndAfter)
	l.stop()
	s.w.say("%s: %d Jobs created, %d missed by admission", s.namespace, l.created.Load(), l.missed.Load())
	s.Expect(l.failed).To(BeEmpty(), "Jobs that could not be created")
	return l
}

// await waits until so many more Jobs were created.
func (l *load) await(more int64) {
	l.s.t.Helper()
	target := l.created.Load() + more
	l.s.eventually(func(g Gomega) { g.Expect(l.created.Load()).To(BeNumerically(">=", target)) })
}

// leafRotated: the webhook's certificate is renewed while Jobs are created: no
// creation fails, and admission misses none.
func leafRotated(s *story) {
	l := s.during(func() {
		before := s.served()
		s.renew("job-handler-webhook")
		s.eventually(func(g Gomega) {
			g.Expect(s.served()).NotTo(ContainElement(BeElementOf(before)), "a replica serves what it did before")
		})
	})
	s.Expect(l.missed.Load()).To(BeZero(), "Jobs that admission missed")
}

// caRotated: the authority gets another key and signs the webhook's certificate
// anew: no creation fails, and what admission missed is stamped afterwards. It
// may miss Jobs until the replicas serve the new certificate, unless the CA
// injector leaves the authority from before in the bundle.
func caRotated(s *story) {
	s.during(func() {
		before := s.served()
		s.replaceSecret("job-handler-ca")
		s.replaceSecret("job-handler-webhook-cert")
		s.eventually(func(g Gomega) {
			g.Expect(s.served()).NotTo(ContainElement(BeElementOf(before)), "a replica serves what it did before")
		})
	})
	s.Eventually(func(g Gomega) {
		var jobs batchv1.JobList
		g.Expect(s.w.client.List(s.ctx(), &jobs, client.InNamespace(s.namespace))).To(Succeed())
		var unstamped []string
		for i := range jobs.Items {
			if !stamped(&jobs.Items[i]) {
				unstamped = append(unstamped, jobs.Items[i].Name)
			}
		}
		g.Expect(unstamped).To(BeEmpty())
	}).WithContext(s.ctx()).WithTimeout(longest + scanInterval).WithPolling(time.Second).Should(Succeed())
}

// scanInterval is how often the manager looks for Jobs that admission missed.
const scanInterval = 5 * time.Minute

// renew has cert-manager issue a Certificate anew, as cmctl renew does.
func (s *story) renew(name string) {
	s.t.Helper()
	certificate := &unstructured.Unstructured{}
	certificate.SetAPIVersion("cert-manager.io/v1")
	certificate.SetKind("Certificate")
	key := client.ObjectKey{Namespace: api.ManagerNamespace, Name: name}
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), key, certificate)).To(Succeed())
		conditions, _, err := unstructured.NestedSlice(certificate.Object, "status", "conditions")
		g.Expect(err).NotTo(HaveOccurred())
		conditions = append(conditions, map[string]any{
			"type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
			"message": "Certificate re-issuance manually triggered", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
		})
		g.Expect(unstructured.SetNestedSlice(certificate.Object, conditions, "status", "conditions")).To(Succeed())
		g.Expect(s.w.client.Status().Update(s.ctx(), certificate)).To(Succeed())
	})
}

// replaceSecret deletes the Secret of a Certificate and waits until there is
// another.
func (s *story) replaceSecret(name string) {
	s.t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: api.ManagerNamespace, Name: name}
	s.Expect(s.w.client.Get(s.ctx(), key, secret)).To(Succeed())
	uid := secret.UID
	s.Expect(s.w.client.Delete(s.ctx(), secret)).To(Succeed())
	s.eventually(func(g Gomega) {
		now := &corev1.Secret{}
		g.Expect(s.w.client.Get(s.ctx(), key, now)).To(Succeed())
		g.Expect(now.UID).NotTo(Equal(uid))
		g.Expect(now.Data).To(HaveKey(corev1.TLSCertKey))
	})
}

// served returns the serial numbers of the certificates that the replicas show.
func (s *story) served() []string {
	s.t.Helper()
	pods, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	var serials []string
	for i := range pods {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		connection, err := dialer.DialContext(s.ctx(), "tcp", net.JoinHostPort(pods[i].Status.PodIP, "9443"))
		s.Expect(err).NotTo(HaveOccurred())
		state := connection.(*tls.Conn).ConnectionState()
		serials = append(serials, state.PeerCertificates[0].SerialNumber.String())
		s.Expect(connection.Close()).To(Succeed())
	}
	s.Expect(serials).NotTo(BeEmpty())
	return serials
}
