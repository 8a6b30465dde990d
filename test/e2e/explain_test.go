package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/logtext"
)

const (
	explainTimeout = 3 * time.Minute
	// How much is printed of one thing, in bytes.
	maxExplained = 24 << 10
	maxValue     = 4 << 10
)

// explain prints what there is in the story's namespaces, and what the manager
// did there.
func (s *story) explain() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx()), explainTimeout)
	defer cancel()
	for _, namespace := range append([]string{s.namespace}, s.others...) {
		for _, args := range [][]string{
			{"get", "jobs,pods", "--output=wide"},
			{"get", "events", "--sort-by=.metadata.creationTimestamp"},
			{"get", "jobs,cronjobs", "--output=yaml"},
			{"get", "pods", "--output=yaml"},
		} {
			output, err := s.kubectl(ctx, append(args, "--namespace", namespace)...)
			s.show(namespace+": kubectl "+strings.Join(args, " "), output, err)
		}
		text, err := s.resultsText(ctx, namespace)
		s.show(namespace+": results", text, err)
		s.show(namespace+": the manager's log", texts(s.w.log.about(namespace)), nil)
	}
}

func (s *story) show(title, text string, err error) {
	if err != nil {
		text += fmt.Sprintf("\n(%v)", err)
	}
	if len(text) > maxExplained {
		text = text[:maxExplained/2] + "\n…\n" + text[len(text)-maxExplained/2:]
	}
	s.t.Logf("──── %s\n%s", title, text)
}

// resultsText returns the ConfigMaps of a namespace, each value within bounds.
func (s *story) resultsText(ctx context.Context, namespace string) (string, error) {
	var list corev1.ConfigMapList
	err := s.w.client.List(ctx, &list, client.InNamespace(namespace))
	var text strings.Builder
	for _, object := range list.Items {
		if object.Name == "kube-root-ca.crt" {
			continue
		}
		fmt.Fprintf(&text, "%s labels %v annotations %v\n", object.Name, object.Labels, object.Annotations)
		for _, key := range slices.Sorted(maps.Keys(object.Data)) {
			fmt.Fprintf(&text, "%s: %s\n", key, logtext.Text(object.Data[key], maxValue))
		}
	}
	return text.String(), err
}
