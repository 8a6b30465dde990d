package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/job-handler/job-handler/internal/api"
)

// components are the values that turn the components of config on.
var components = map[string]string{
	"fail-closed":    ".Values.failClosed",
	"prometheus":     ".Values.metrics.enabled",
	"secret-results": ".Values.secretResults.enabled",
}

// secretResultsBinding is the file of a RoleBinding that no kustomization names,
// since it is applied in each namespace that wants it.
const secretResultsBinding = "components/secret-results/role_binding.yaml"

// objectGuard returns the condition under which an object of the bases is wanted,
// or nothing.
func objectGuard(o object) string {
	group, _, _ := strings.Cut(o.text("apiVersion"), "/")
	switch {
	case o.text("kind") == "ServiceMonitor":
		return ".Values.metrics.serviceMonitor"
	case o.text("kind") == "PrometheusRule":
		return ".Values.metrics.prometheusRule"
	case group == "cert-manager.io" && o.text("metadata", "name") != api.WebhookCertificateName:
		return "not .Values.certificate.issuerRef"
	default:
		return ""
	}
}

var wholeNamespace = regexp.MustCompile(`(?m)(: |- )` + api.ManagerNamespace + `$`)

// inNamespace puts the release's namespace in the place of that of the bases. As
// a value of its own it is quoted, since a namespace can be called 123.
func inNamespace(text string, o object) string {
	action := ".Release.Namespace"
	if o.source == secretResultsBinding {
		// In a range the dot is something else.
		action = "$" + action
	}
	text = wholeNamespace.ReplaceAllStringFunc(text, func(found string) string {
		return strings.TrimSuffix(found, api.ManagerNamespace) + "{{ " + action + " | quote }}"
	})
	return strings.ReplaceAll(text, api.ManagerNamespace, "{{ "+action+" }}")
}

// substitute puts the values in. The bases' own become the defaults.
func (c *chart) substitute() error {
	for _, step := range []func() error{c.setPods, c.setManager, c.setAccount, c.setIssuer, c.bindSecretResults} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// block returns the lines that give a key the value, if there is one.
func block(key, value string) []string {
	return []string{"{{- with " + value + " }}", key + ": {{- toYaml . | nindent INDENT }}", "{{- end }}"}
}

// setPods sets where the manager's pods run, and what is on them.
func (c *chart) setPods() error {
	deployment, err := c.find("Deployment", api.ManagerName)
	if err != nil {
		return err
	}
	spec, err := deployment.must("spec")
	if err != nil {
		return err
	}
	if c.defaults.replicas, err = c.replace(spec, "replicas", "{{ .Values.replicas }}"); err != nil {
		return err
	}
	pod, err := deployment.must("spec", "template", "spec")
	if err != nil {
		return err
	}
	c.defaults.topologySpread, err = c.replace(pod, "topologySpreadConstraints",
		"{{- toYaml .Values.topologySpreadConstraints | nindent INDENT }}")
	if err != nil {
		return err
	}
	for _, own := range []struct {
		key   string
		lines []string
	}{
		{"priorityClassName", []string{"{{- with .Values.priorityClassName }}", "priorityClassName: {{ . | quote }}", "{{- end }}"}},
		{"affinity", block("affinity", ".Values.affinity")},
		{"tolerations", block("tolerations", ".Values.tolerations")},
		{"nodeSelector", block("nodeSelector", ".Values.nodeSelector")},
		{"imagePullSecrets", block("imagePullSecrets", ".Values.image.pullSecrets")},
	} {
		if err := c.insert(pod, "topologySpreadConstraints", own.key, own.lines); err != nil {
			return err
		}
	}
	for _, kind := range []struct{ key, value string }{{"labels", ".Values.podLabels"}, {"annotations", ".Values.podAnnotations"}} {
		mapping, err := deployment.must("spec", "template", "metadata", kind.key)
		if err != nil {
			return err
		}
		c.extend(mapping, "{{- with "+kind.value+" }}", "{{- toYaml . | nindent COLUMN }}", "{{- end }}")
	}
	return nil
}

// setManager sets the container.
func (c *chart) setManager() error {
	deployment, err := c.find("Deployment", api.ManagerName)
	if err != nil {
		return err
	}
	container, err := deployment.must("spec", "template", "spec", "containers", "0")
	if err != nil {
		return err
	}
	if _, err := c.replace(container, "image", `{{ include "job-handler.image" . | quote }}`); err != nil {
		return err
	}
	pull := []string{"{{- with .Values.image.pullPolicy }}", "imagePullPolicy: {{ . }}", "{{- end }}"}
	if err := c.insert(container, "image", "imagePullPolicy", pull); err != nil {
		return err
	}
	if c.defaults.resources, err = c.replace(container, "resources", "{{- toYaml .Values.resources | nindent INDENT }}"); err != nil {
		return err
	}
	args, err := deployment.must("spec", "template", "spec", "containers", "0", "args")
	if err != nil {
		return err
	}
	for _, arg := range args.Content {
		if flag, isFlag := strings.CutPrefix(arg.Value, "--"); isFlag {
			name, _, _ := strings.Cut(flag, "=")
			c.defaults.flags = append(c.defaults.flags, name)
		}
	}
	c.extend(args, "{{- with .Values.flags }}", `{{- include "job-handler.flags" . | nindent COLUMN }}`, "{{- end }}")
	env, err := deployment.must("spec", "template", "spec", "containers", "0", "env")
	if err != nil {
		return err
	}
	c.extend(env, "{{- with .Values.env }}", "{{- toYaml . | nindent COLUMN }}", "{{- end }}")
	return nil
}

func (c *chart) setAccount() error {
	account, err := c.find("ServiceAccount", api.ManagerName)
	if err != nil {
		return err
	}
	metadata, err := account.must("metadata")
	if err != nil {
		return err
	}
	return c.insert(metadata, "namespace", "annotations", block("annotations", ".Values.serviceAccount.annotations"))
}

// setIssuer lets another issuer issue the webhook's certificate.
func (c *chart) setIssuer() error {
	certificate, err := c.find("Certificate", api.WebhookCertificateName)
	if err != nil {
		return err
	}
	reference, err := certificate.must("spec", "issuerRef")
	if err != nil {
		return err
	}
	begin := c.line(reference, "{{- with .Values.certificate.issuerRef }}", "{{- toYaml . | nindent COLUMN }}", "{{- else }}")
	reference.Content = slices.Concat(begin, reference.Content, c.line(reference, "{{- end }}"))
	return nil
}

// bindSecretResults binds the ClusterRole of the component secret-results in the
// namespaces that the values name.
func (c *chart) bindSecretResults() error {
	binding, err := c.bases.read(secretResultsBinding)
	if err != nil {
		return err
	}
	metadata, err := binding.must("metadata")
	if err != nil {
		return err
	}
	if err := c.insert(metadata, "name", "namespace", []string{"namespace: {{ . | quote }}"}); err != nil {
		return err
	}
	c.guards[binding.node] = []string{components["secret-results"], "range .Values.secretResults.namespaces"}
	c.objects = append(c.objects, binding)
	return nil
}

// replace puts text in the place of a key's value, and returns that.
func (c *chart) replace(mapping *yaml.Node, key, text string) (*yaml.Node, error) {
	i := position(mapping, key)
	if i < 0 {
		return nil, fmt.Errorf("the bases have no %s, which the chart sets", key)
	}
	before := mapping.Content[i+1]
	mapping.Content[i+1] = c.inline(text)
	return before, nil
}

// insert adds lines for a key that the mapping has not, after another one.
func (c *chart) insert(mapping *yaml.Node, after, key string, lines []string) error {
	i := position(mapping, after)
	if i < 0 || position(mapping, key) >= 0 {
		return fmt.Errorf("the chart sets %s after %s: the bases have to have the second, and not the first", key, after)
	}
	mapping.Content = slices.Insert(mapping.Content, i+2, c.line(mapping, lines...)...)
	return nil
}

// extend adds lines at the end of a mapping or sequence.
func (c *chart) extend(node *yaml.Node, lines ...string) {
	node.Content = append(node.Content, c.line(node, lines...)...)
}
