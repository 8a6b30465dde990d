package localcluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func clientOf(t *testing.T, c *Cluster) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
}

func TestControlPlane(t *testing.T) {
	slow(t)
	dir := t.TempDir()
	// Two at once, in the way of two test processes.
	var one, other *Cluster
	var both sync.WaitGroup
	both.Go(func() {
		one = start(t, Options{Dir: dir, ControllerManager: true, Scheduler: true, AuditPolicy: AuditMetadata})
	})
	both.Go(func() { other = start(t, Options{}) })
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Run("keeps objects apart from the other's", func(t *testing.T) { testObjects(t, one, other) })
	t.Run("knows users by their certificates", func(t *testing.T) { testUsers(t, one) })
	t.Run("issues ServiceAccount tokens", func(t *testing.T) { testTokens(t, one) })
	t.Run("writes an audit log", func(t *testing.T) {
		if log := lastLines(one.Logs()+"/audit.log", 50); !strings.Contains(log, `"kind":"Event"`) {
			t.Errorf("the audit log ends with %s", log)
		}
	})
	t.Run("refuses a second one in its folder", func(t *testing.T) {
		if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("error = %v, want one that names the folder", err)
		}
	})
	t.Run("has components that can be paused, killed and restarted", func(t *testing.T) { testFaults(t, one) })
	t.Run("ends with its owner", func(t *testing.T) {
		if err := one.Orphan(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, nil); !errors.Is(err, ErrNotRunning) {
			t.Errorf("error = %v, want %v", err, ErrNotRunning)
		}
	})
	t.Run("leaves nothing behind", func(t *testing.T) {
		for _, c := range []*Cluster{one, other} {
			if err := c.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
		expectNothingLeft(t, dir)
		expectNothingLeft(t, other.Dir())
		if removed, err := Down(t.Context(), dir, nil); err != nil || len(removed) > 0 {
			t.Errorf("removed %q, %v; want nothing", removed, err)
		}
	})
}

func testObjects(t *testing.T, one, other *Cluster) {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "here"}, Data: map[string]string{"a": "b"}}
	_, err := clientOf(t, one).CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(t.Context(), configMap, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientOf(t, other).CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(t.Context(), "here", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("error = %v, want not found", err)
	}
	if text := kubectl(t, one, "", "get", "configmap", "here", "-o", "jsonpath={.data.a}"); text != "b" {
		t.Errorf("kubectl prints %q", text)
	}
}

func testUsers(t *testing.T, c *Cluster) {
	config, err := c.ConfigFor("alice", "team-a")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
		&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	user := review.Status.UserInfo
	if user.Username != "alice" || !strings.Contains(strings.Join(user.Groups, " "), "team-a") {
		t.Errorf("user = %+v", user)
	}
	if _, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("error = %v, want forbidden", err)
	}
}

func testTokens(t *testing.T, c *Cluster) {
	client := clientOf(t, c)
	accounts := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	if _, err := accounts.Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := accounts.CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	review, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := review.Status.User.Username; got != "system:serviceaccount:default:robot" {
		t.Errorf("the token is %q's: %s", got, review.Status.Error)
	}
}

func testFaults(t *testing.T, c *Cluster) {
	ctx := t.Context()
	if err := c.Healthy(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Pause(ctx, APIServer); err != nil {
		t.Fatal(err)
	}
	if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), APIServer) {
		t.Errorf("error = %v, want one about a paused %s", err, APIServer)
	}
	if err := c.Resume(ctx, APIServer); err != nil {
		t.Fatal(err)
	}
	awaitHealthy(t, c)
	if err := c.Kill(ctx, ControllerManager); err != nil {
		t.Fatal(err)
	}
	if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "signal 9") {
		t.Errorf("error = %v, want one about a killed %s", err, ControllerManager)
	}
	for _, name := range []string{ControllerManager, Etcd, APIServer} {
		if err := c.Restart(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	// The controller manager may have ended for want of an apiserver, and
	// comes back by itself.
	awaitHealthy(t, c)
	kubectl(t, c, "", "get", "configmap", "here")
	if err := c.Kill(ctx, "nobody"); err == nil {
		t.Error("killing an unknown component is no error")
	}
}

func awaitHealthy(t *testing.T, c *Cluster) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; {
		err := c.Healthy(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func TestStartTellsWhyItFailed(t *testing.T) {
	slow(t)
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: dir, ExtraArgs: map[string][]string{APIServer: {"--no-such-flag"}}})
	if err == nil {
		t.Fatal("a wrong flag is no error")
	}
	for _, want := range []string{APIServer, dir + "/logs/kube-apiserver.log", "unknown flag: --no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %q", err, want)
		}
	}
	expectNothingLeft(t, dir)
}

// start starts a cluster that ends with the test.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Progress = t.Output()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c
}

// kubectl runs the cluster's kubectl and returns what it prints.
func kubectl(t *testing.T, c *Cluster, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(c.Kubectl(), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text)
}

// expectNothingLeft fails the test if a process or a folder for sockets is
// left of the cluster in a data folder.
func expectNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left := processesOf(dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	if run := Folder(dir).Run(); isFolder(run) {
		t.Errorf("%s is left", run)
	}
}

// processesOf returns the programs of the cluster in a data folder, as they have it in
// their arguments.
func processesOf(dir string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		// A process that ended has no arguments any more.
		args, _ := os.ReadFile(filepath.Join(path, "cmdline"))
		if strings.Contains(string(args), dir) {
			found = append(found, strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}
