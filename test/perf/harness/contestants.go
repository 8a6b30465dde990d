package harness

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/job-handler/job-handler/test/perf/report"
)

// contestJobs are enough for a second of the slow contestants.
const contestJobs = 30

// ttl is the TTL controller, which stores nothing: the floor of what a deletion
// costs.
type ttl struct {
	name, title string
	jobs        int
	lasts       time.Duration
}

func (t ttl) run(ctx context.Context, w *world, r *report.Report) error {
	namespace, err := w.namespace(ctx, false, small)
	if err != nil {
		return err
	}
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: t.jobs, finished: true, ttl: new(int32(0))}); err != nil {
		return err
	}
	s := &report.Scenario{Name: t.name, Title: t.title}
	err = w.contest(ctx, s, namespace, contest{jobs: t.jobs, lasts: t.lasts, start: func() error { return w.resume(ctx) }})
	r.Scenarios = append(r.Scenarios, s)
	return err
}

// contest is how a contestant's part goes.
type contest struct {
	jobs  int
	lasts time.Duration
	start func() error
}

// contest starts a contestant and takes its rate, from the first Job deleted until
// all are or its time is over.
func (w *world) contest(ctx context.Context, s *report.Scenario, namespace string, c contest) error {
	o, err := w.observe(ctx, namespace)
	if err != nil {
		return err
	}
	defer o.stop()
	if err := c.start(); err != nil {
		return err
	}
	if err := o.awaitDeleted(ctx, c.lasts, c.jobs); err != nil && !errors.Is(err, errNotAll) {
		return err
	}
	_, deleted := o.times()
	s.Set(report.Jobs, float64(len(deleted)))
	if len(deleted) < 2 {
		s.Set(report.Rate, 0)
		return nil
	}
	first, last := slices.MinFunc(deleted, time.Time.Compare), slices.MaxFunc(deleted, time.Time.Compare)
	s.Set(report.Rate, float64(len(deleted)-1)/last.Sub(first).Seconds())
	return nil
}

// plain is a controller as one writes it first.
type plain struct{ lasts time.Duration }

const plainUser = "bench-plain"

func (p plain) run(ctx context.Context, w *world, r *report.Report) error {
	account, err := w.plainAccount(ctx)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(w.cluster.Dir(), "plain.kubeconfig")
	if err := writeKubeconfig(account, kubeconfig); err != nil {
		return err
	}
	s := &report.Scenario{Name: "plain", Title: "a controller as one writes it first"}
	err = w.contestOf(ctx, s, p.lasts, exec.Command(w.settings.Plain, "--kubeconfig", kubeconfig)) //nolint:noctx // it is ended after its time
	r.Scenarios = append(r.Scenarios, s)
	return err
}

// plainAccount returns the connection of a user who may do all that it does.
func (w *world) plainAccount(ctx context.Context) (*rest.Config, error) {
	roles := w.admin.RbacV1()
	_, err := roles.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: plainUser},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"", "batch", "events.k8s.io"}, Verbs: []string{rbacv1.VerbAll},
			Resources: []string{"jobs", "pods", "pods/log", "configmaps", "events"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	_, err = roles.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: plainUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: plainUser},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: plainUser}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return w.cluster.ConfigFor(plainUser)
}

func writeKubeconfig(config *rest.Config, path string) error {
	file := clientcmdapi.NewConfig()
	file.Clusters["bench"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["bench"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	file.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	file.CurrentContext = "bench"
	return clientcmd.WriteToFile(*file, path)
}

// shell is a loop around kubectl.
type shell struct{ lasts time.Duration }

//go:embed loop.sh
var loop string

func (l shell) run(ctx context.Context, w *world, r *report.Report) error {
	command := exec.Command("bash", "-c", loop) //nolint:noctx // it is ended after its time
	command.Env = append(os.Environ(), "KUBECTL="+w.cluster.Kubectl(), "KUBECONFIG="+w.cluster.Kubeconfig())
	s := &report.Scenario{Name: "shell", Title: "a shell loop with kubectl"}
	err := w.contestOf(ctx, s, l.lasts, command)
	r.Scenarios = append(r.Scenarios, s)
	return err
}

// contestOf runs a program on finished Jobs that wait for it, for its time.
func (w *world) contestOf(ctx context.Context, s *report.Scenario, lasts time.Duration, command *exec.Cmd) error {
	namespace, err := w.namespace(ctx, false, small)
	if err != nil {
		return err
	}
	jobs := contestJobs * int(max(1, lasts.Seconds()))
	if _, err := w.load(ctx, batch{namespace: namespace, jobs: jobs, finished: true}); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(w.settings.Output, s.Name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	command.Env = append(command.Environ(), "NAMESPACE="+namespace)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = w.contest(ctx, s, namespace, contest{jobs: jobs, lasts: lasts, start: command.Start})
	if command.Process != nil {
		// Its children too.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	}
	if err != nil {
		return err
	}
	if s.Values[report.Jobs] == 0 {
		return fmt.Errorf("it handled no Job at all; see %s", log.Name())
	}
	return w.clear(ctx, namespace)
}
