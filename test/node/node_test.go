package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/job-handler/job-handler/internal/localcluster"
)

func TestNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	if os.Getuid() != 0 {
		t.Skip("a node needs root")
	}
	dir := t.TempDir()
	before := lookAlone(t, dir)
	o := Options{Wait: true, Options: localcluster.Options{Dir: dir}}
	c := start(t, o)
	t.Run("runs a Job, whose log can be read", func(t *testing.T) { testJob(t, c) })
	t.Run("lets pods reach the apiserver", func(t *testing.T) { testPodNetwork(t, c) })
	t.Run("goes on after its kubelet was killed", func(t *testing.T) { testKubelet(t, c) })
	t.Run("runs an image that was loaded", func(t *testing.T) { testImage(t, c) })
	t.Run("is the machine's only one", func(t *testing.T) {
		o := o
		o.Dir, o.Wait = t.TempDir(), false
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("error = %v, want one that names %s", err, dir)
		}
	})
	t.Run("is found by another process", func(t *testing.T) {
		found, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := found.Healthy(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("can be cleaned up after a crash", func(t *testing.T) { testCrash(t, c, before) })
	t.Run("is started over what a crash left", func(t *testing.T) {
		crash(t, start(t, o))
		kubectl(t, start(t, o), "", "get", "nodes")
	})
	t.Run("leaves nothing behind when it is stopped", func(t *testing.T) { expectAsBefore(t, dir, before) })
	t.Run("leaves nothing behind when its owner dies", func(t *testing.T) {
		c := start(t, o)
		kubectl(t, c, job("long", "sleep 1000"), "create", "-f", "-")
		kubectl(t, c, "", "wait", "--for=jsonpath={.status.ready}=1", hangs, "job/long")
		if err := c.Orphan(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The data folder and that of the sockets are not the machine's.
		if err := os.RemoveAll(c.Folder().Run()); err != nil {
			t.Fatal(err)
		}
		expectAsBefore(t, dir, before)
	})
}

// start starts a cluster that ends with the test.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Progress = t.Output()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c.Cluster) })
	return c
}

func stop(t *testing.T, c *localcluster.Cluster) {
	t.Helper()
	if err := c.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func testJob(t *testing.T, c *Cluster) {
	kubectl(t, c, job("hello", "echo hello from $(hostname); for i in $(seq 3); do echo line $i; done"), "create", "-f", "-")
	kubectl(t, c, "", "wait", "--for=condition=Complete", hangs, "job/hello")
	log := kubectl(t, c, "", "logs", "job/hello")
	if !strings.HasPrefix(log, "hello from hello-") || !strings.HasSuffix(log, "\nline 1\nline 2\nline 3\n") {
		t.Errorf("log = %q", log)
	}
	if warnings := kubectl(t, c, "", "get", "events", "--field-selector=type=Warning,involvedObject.kind=Pod"); !strings.HasPrefix(warnings, "No resources") {
		t.Errorf("warnings about an ordinary pod:\n%s", warnings)
	}
}

// testPodNetwork has a pod call the apiserver at the node's address and at that
// of the Service kubernetes, and call a Service of a pod on the same bridge.
func testPodNetwork(t *testing.T, c *Cluster) {
	kubectl(t, c, "", "run", "web", "--image="+ShellImage, "--image-pull-policy=Never", "--port=80", "--expose",
		"--", "sh", "-c", "echo served > /tmp/index.html; httpd -f -p 80 -h /tmp")
	kubectl(t, c, "", "wait", "--for=condition=Ready", hangs, "pod/web")
	address := kubectl(t, c, "", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
	// The shell's wget knows no TLS, but the apiserver tells what it hears.
	const ask = "{ echo GET / HTTP/1.0; echo; } | timeout 10 nc "
	node := strings.Replace(strings.TrimPrefix(c.RESTConfig().Host, "https://"), ":", " ", 1)
	script := ask + "$KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT; " + ask + node + "; wget -qO- http://" + address
	kubectl(t, c, job("network", script), "create", "-f", "-")
	kubectl(t, c, "", "wait", "--for=condition=Complete", hangs, "job/network")
	log := kubectl(t, c, "", "logs", "job/network")
	if strings.Count(log, "HTTP request to an HTTPS server") != 2 || !strings.HasSuffix(log, "served\n") {
		t.Errorf("log = %s", log)
	}
}

func testKubelet(t *testing.T, c *Cluster) {
	if err := c.Kill(t.Context(), localcluster.Kubelet); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(t.Context(), localcluster.Kubelet); err != nil {
		t.Fatal(err)
	}
	kubectl(t, c, job("again", "echo again"), "create", "-f", "-")
	kubectl(t, c, "", "wait", "--for=condition=Complete", hangs, "job/again")
}

func testImage(t *testing.T, c *Cluster) {
	program := filepath.Join(t.TempDir(), "pause")
	if err := localcluster.Compile(t.Context(), pause, program); err != nil {
		t.Fatal(err)
	}
	image, err := ProgramImage(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.LoadImage(t.Context(), "localhost/loaded:dev", image); err != nil {
		t.Fatal(err)
	}
	kubectl(t, c, "", "run", "loaded", "--image=localhost/loaded:dev", "--image-pull-policy=Never")
	kubectl(t, c, "", "wait", "--for=condition=Ready", hangs, "pod/loaded")
	if err := c.LoadArchive(t.Context(), "/no/such.tar"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error = %v, want one that says why", err)
	}
}

func crash(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testCrash(t *testing.T, c *Cluster, before traces) {
	dir := c.Dir()
	crash(t, c)
	if _, err := Open(dir); !errors.Is(err, localcluster.ErrNotRunning) {
		t.Errorf("error = %v, want %v", err, localcluster.ErrNotRunning)
	}
	removed, err := Down(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bridge jh0", "cgroups", "iptables chains of table nat"} {
		if !strings.Contains(strings.Join(removed, "\n"), want) {
			t.Errorf("removed %q, which lacks %q", removed, want)
		}
	}
	expectAsBefore(t, dir, before)
}
