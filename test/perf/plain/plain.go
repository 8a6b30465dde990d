// Package plain is a controller as a first attempt at the task would be: every Job,
// pod and ConfigMap in the cache, whole; the client's default limits; one worker; a
// live list of pods; a log read into memory, however long. The benchmark compares
// with it. It is not for use: it trusts a log that ends, checks nothing it finds,
// and deletes whatever has finished.
package plain

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// The limits of a client that sets none, as controllers have had them for years.
const (
	defaultQPS   = 20
	defaultBurst = 30
)

const statusAnnotation = "plain/status"

// Run handles Jobs until ctx ends.
func Run(ctx context.Context, config *rest.Config) error {
	config.QPS, config.Burst = defaultQPS, defaultBurst
	mgr, err := ctrl.NewManager(config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return fmt.Errorf("building the manager: %w", err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("building the client: %w", err)
	}
	r := &reconciler{Client: mgr.GetClient(), kube: kube, events: mgr.GetEventRecorder("plain")}
	err = ctrl.NewControllerManagedBy(mgr).Named("plain").
		For(&batchv1.Job{}).Owns(&corev1.Pod{}).Owns(&corev1.ConfigMap{}).Complete(r)
	if err != nil {
		return fmt.Errorf("building the controller: %w", err)
	}
	return mgr.Start(ctx)
}

type reconciler struct {
	client.Client

	kube   kubernetes.Interface
	events events.EventRecorder
}

// Reconcile stores what a Job that completed left, and deletes it.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	job := &batchv1.Job{}
	if err := r.Get(ctx, request.NamespacedName, job); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if job.Status.Succeeded == 0 || job.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	logs, err := r.logs(ctx, job)
	if err != nil {
		return ctrl.Result{}, err
	}
	results := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: job.Name + "-results"},
		Data:       map[string]string{"logs": logs, "status": "completed"},
	}
	if err := r.Create(ctx, results); client.IgnoreAlreadyExists(err) != nil {
		return ctrl.Result{}, err
	}
	r.events.Eventf(job, nil, corev1.EventTypeNormal, "Stored", "Store", "results stored in %s", results.Name)
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, statusAnnotation, "completed")
	if err := r.Update(ctx, job); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

func (r *reconciler) logs(ctx context.Context, job *batchv1.Job) (string, error) {
	pods, err := r.kube.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "job-name=" + job.Name})
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for i := range pods.Items {
		log, err := r.kube.CoreV1().Pods(job.Namespace).GetLogs(pods.Items[i].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err != nil {
			return "", err
		}
		all.Write(log)
	}
	return all.String(), nil
}
