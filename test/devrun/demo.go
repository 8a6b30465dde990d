package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fatih/color"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/node"
)

//go:embed jobs/*.yaml
var jobs embed.FS

const demoFolder = "bin/demo"

var heading = color.New(color.Bold, color.FgCyan)

// demoNamespace is where the stories take place.
const demoNamespace = "job-handler-demo"

// demoOn tells the stories on a cluster where Job Handler is installed, in a
// namespace that is removed at the end.
func demoOn(ctx context.Context, binary string, on target) (err error) {
	found, err := on.open()
	if err != nil {
		return err
	}
	kube, err := client.New(found.config, client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", found.name, err)
	}
	say("The demo runs in " + found.name)
	installed := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: api.ManagerName}}
	if err := kube.Get(ctx, client.ObjectKeyFromObject(installed), installed); apierrors.IsNotFound(err) {
		return fmt.Errorf("in %s Job Handler is not installed: make deploy CLUSTER=%s", found.name, on.on)
	} else if err != nil {
		return fmt.Errorf("looking for Job Handler in %s: %w", found.name, err)
	}
	if err := hostmanager.AwaitAdmission(ctx, kube); err != nil {
		return err
	}
	plugins, err := filepath.Abs(filepath.Dir(binary))
	if err != nil {
		return fmt.Errorf("finding the kubectl plugin: %w", err)
	}
	sh := &shell{kubectl: found.kubectl, kubeconfig: found.kubeconfig, plugins: plugins, out: os.Stdout}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		say("Removing the namespace of the demo")
		end := &shell{kubectl: sh.kubectl, kubeconfig: sh.kubeconfig, plugins: sh.plugins, out: os.Stdout}
		end.run(cleanup, "delete", "namespace", demoNamespace, "--ignore-not-found")
		err = errors.Join(err, end.err)
	}()
	return tell(ctx, sh)
}

// demo makes a cluster, runs the manager on it and tells the stories. It fails
// if one of them does not end as promised.
func demo(ctx context.Context, binary string) (err error) {
	began := time.Now()
	say("Starting a real Kubernetes cluster on this machine")
	cluster, err := node.Start(ctx, node.Options{Wait: true, Options: localcluster.Options{Dir: demoFolder, Progress: os.Stdout}})
	if err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		say("Stopping and removing the cluster")
		err = errors.Join(err, cluster.Stop(cleanup), os.RemoveAll(demoFolder))
		if err == nil {
			fmt.Printf("The demo took %s; nothing is left running.\n", time.Since(began).Round(time.Second))
		}
	}()

	say("Starting Job Handler: webhook and controllers in one process")
	log, err := os.Create(filepath.Join("bin", "demo-manager.log"))
	if err != nil {
		return fmt.Errorf("making the manager's log: %w", err)
	}
	defer log.Close()
	manager, err := hostmanager.Start(ctx, hostmanager.Options{
		Cluster: cluster, Binary: binary, Dir: filepath.Join("bin", "run"), Output: log,
	})
	if err != nil {
		return fmt.Errorf("starting the manager (its log is %s): %w", log.Name(), err)
	}
	defer func() { err = errors.Join(err, end(ctx, manager)) }()
	if err := manager.AwaitAdmission(ctx); err != nil {
		return fmt.Errorf("waiting for admission (the manager's log is %s): %w", log.Name(), err)
	}
	fmt.Println("It is ready; its log is", log.Name())
	plugins, err := filepath.Abs(filepath.Dir(binary))
	if err != nil {
		return fmt.Errorf("finding the kubectl plugin: %w", err)
	}
	return tell(ctx, &shell{kubectl: cluster.Kubectl(), kubeconfig: cluster.Kubeconfig(), plugins: plugins, out: os.Stdout})
}

// tell tells the stories by kubectl, as people would see them.
func tell(ctx context.Context, sh *shell) error {
	say("Opt a namespace in: one label, and every Job in it is handled")
	sh.run(ctx, "create", "namespace", demoNamespace)
	sh.run(ctx, "label", "namespace", demoNamespace, api.EnabledLabel+"="+api.True)
	sh.namespace = demoNamespace

	say("Create an ordinary Job: the webhook stamps it")
	sh.show("nightly-report.yaml")
	sh.apply(ctx, "nightly-report.yaml")
	stamps := sh.run(ctx, "get", "job", "nightly-report", "-o",
		"jsonpath=label {.metadata.labels."+api.EnabledLabel+"}, results name {.metadata.annotations."+api.ResultsNameAnnotation+"}")
	sh.expect("stamps on the Job", stamps, "label true, results name nightly-report-results")

	say("The Job runs in a real container. After it finishes, its results are stored and the Job is deleted")
	sh.run(ctx, "wait", "--for=delete", "job/nightly-report", "--timeout=5m")
	results := sh.run(ctx, "get", "configmap", "nightly-report-results", "-o", "yaml")
	sh.expect("the results", results, "part 3 of 3: 1234566 rows", "report written", "status: completed",
		"records-processed:", "1,234,567", "output-location: s3://bucket/reports/")
	gone := sh.run(ctx, "get", "jobs", "--ignore-not-found", "nightly-report", "-o", "name")
	sh.expectNone("the Job", gone)

	say("A failed Job is kept for debugging, and its results are stored too")
	sh.show("broken-import.yaml")
	sh.apply(ctx, "broken-import.yaml")
	sh.run(ctx, "wait", "--for=create", "configmap/broken-import-results", "--timeout=5m")
	logs := sh.run(ctx, "get", "configmap", "broken-import-results", "-o", "jsonpath={.data.logs}")
	sh.expect("the logs of the failed Job", logs, "line 4711: 7 columns expected, 6 found")
	sh.run(ctx, "wait", "--for=jsonpath={.metadata.annotations."+api.StatusAnnotation+"}="+api.StatusFailed, "job/broken-import", "--timeout=5m")
	kept := sh.run(ctx, "get", "jobs")
	sh.expect("the Jobs that are left", kept, "broken-import")

	say("A Job runs into its deadline: Kubernetes deletes its pod, and its last words are kept")
	sh.show("slow-export.yaml")
	sh.apply(ctx, "slow-export.yaml")
	sh.run(ctx, "wait", "--for=create", "configmap/slow-export-results", "--timeout=5m")
	words := sh.run(ctx, "get", "configmap", "slow-export-results", "-o", "jsonpath={.data.logs}")
	sh.expect("the logs of the pod that was deleted", words, "told to end:")

	say("A Job whose image cannot be had never runs: its results say why")
	sh.show("wrong-image.yaml")
	sh.apply(ctx, "wrong-image.yaml")
	sh.run(ctx, "wait", "--for=create", "configmap/wrong-image-results", "--timeout=5m")
	why := sh.run(ctx, "job-results", "get", "wrong-image")
	sh.expect("why the Job never ran", why, "Why:", "Image", "localhost/trainer:lates")

	say("Events say what was done")
	events := sh.run(ctx, "get", "events", "--field-selector", "reason="+api.ReasonJobProcessing)
	sh.expect("the Events", events, "nightly-report-results", "broken-import-results", "Warning")

	return read(ctx, sh)
}

// read reads what is left by the kubectl plugin.
func read(ctx context.Context, sh *shell) error {
	say("All results of the namespace, by the kubectl plugin")
	sh.run(ctx, "get", "configmaps", "-l", api.CreatedLabel+"="+api.True)
	list := sh.run(ctx, "job-results", "list")
	sh.expect("the list", list, "nightly-report", "completed", "broken-import", "failed", "slow-export", "wrong-image")
	own := sh.run(ctx, "job-results", "get", "nightly-report")
	sh.expect("what the Job reported", own, "records-processed", "1,234,567")
	sh.expect("the failed run", sh.run(ctx, "job-results", "get", "broken-import"), "line 4711: 7 columns expected, 6 found")
	sh.expect("the logs of the Job that is gone", sh.run(ctx, "job-results", "logs", "nightly-report"), "report written")
	return sh.err
}

func say(text string) {
	fmt.Println()
	_, _ = heading.Println("── " + text)
}
