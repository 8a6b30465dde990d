package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/job-handler/job-handler/internal/options"
)

// value is one that a user may set. values.yaml, its schema and the table in the
// chart's README all say what is here.
type value struct {
	name string
	doc  string
	// preset is its default: a YAML text. A value with values has none.
	preset string
	schema schema
	values []value
}

// schema is a JSON Schema.
type schema map[string]any

// defaults are what the bases say where the chart has values.
type defaults struct {
	replicas, resources, topologySpread *yaml.Node
	// flags are the names of those that the bases set.
	flags []string
}

var (
	text     = schema{"type": "string"}
	boolean  = schema{"type": "boolean"}
	mapping  = schema{"type": "object"}
	sequence = schema{"type": "array", "items": mapping}
	texts    = schema{"type": "object", "additionalProperties": text}
)

// values returns all of them.
func (c *chart) values() ([]value, error) {
	replicas, err := encode(c.defaults.replicas)
	if err != nil {
		return nil, err
	}
	resources, err := encode(c.defaults.resources)
	if err != nil {
		return nil, err
	}
	spread, err := encode(c.defaults.topologySpread)
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		[]value{c.imageValues(), {
			name: "replicas", preset: replicas, schema: schema{"type": "integer", "minimum": 0},
			doc: "Managers. All of them answer admission requests, one handles Jobs.",
		}, {
			name: "resources", preset: resources, schema: mapping,
			doc: "Requests and limits of the manager's container (ResourceRequirements). 90% of the memory limit are the Go runtime's, unless env has GOMEMLIMIT.",
		}, {
			name: "flags", preset: "{}", schema: flagsSchema(c.defaults.flags),
			doc: "More flags of the manager by their names without dashes, such as results-ttl: 30d; a list gives a flag several times. `job-handler --help` and the schema tell what there is.",
		}, {
			name: "env", preset: "[]", schema: sequence,
			doc: "More environment variables of the manager's container (EnvVar).",
		}},
		featureValues(), podValues(spread)), nil
}

func (c *chart) imageValues() value {
	return value{name: "image", doc: "The manager's image.", values: []value{
		{name: "repository", preset: c.image.repository, schema: schema{"type": "string", "minLength": 1}, doc: "Its name, with registry."},
		{name: "tag", preset: `""`, schema: text, doc: "Its tag; empty for the chart's appVersion."},
		{
			name: "digest", preset: quoted(c.image.digest), schema: schema{"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
			doc: "Its digest, sha256:…, which counts for more than a tag.",
		},
		{
			name: "pullPolicy", preset: `""`, schema: schema{"enum": []string{"", "Always", "IfNotPresent", "Never"}},
			doc: "Always, IfNotPresent or Never; empty for Kubernetes' default.",
		},
		{name: "pullSecrets", preset: "[]", schema: sequence, doc: "Secrets for its registry (LocalObjectReference), such as - name: registry."},
	}}
}

// featureValues turn things on and off.
func featureValues() []value {
	return []value{
		{
			name: "failClosed", preset: "false", schema: boolean,
			doc: "With the manager away, refuse opted-in Jobs rather than create them unseen. All other Jobs are created as ever.",
		},
		{name: "metrics", doc: "Metrics for Prometheus. Without them nobody but the manager's own pod can read any.", values: []value{
			{
				name: "enabled", preset: "false", schema: boolean,
				doc: "Serve metrics over TLS on port 8443, to accounts bound to the ClusterRole job-handler-metrics-reader, in namespaces labelled metrics=enabled.",
			},
			{
				name: "serviceMonitor", preset: "true", schema: boolean,
				doc: "With them, what the Prometheus operator wants: a ServiceMonitor. Turn it off where there is no such operator.",
			},
			{
				name: "prometheusRule", preset: "true", schema: boolean,
				doc: "With them, the alerts of docs/operations.md for the Prometheus operator: a PrometheusRule. Turn it off where there is no such operator, or where you have alerts of your own.",
			},
		}},
		{name: "secretResults", doc: "Results in Secrets (results-kind: Secret).", values: []value{
			{name: "enabled", preset: "false", schema: boolean, doc: "Make the ClusterRole job-handler-secret-results. It grants nothing until it is bound."},
			{
				name: "namespaces", preset: "[]", schema: schema{"type": "array", "items": schema{"type": "string", "minLength": 1}, "uniqueItems": true},
				doc: "With it, namespaces to bind it in: the manager may create Secrets there, and read any whose name it knows.",
			},
		}},
		{name: "certificate", doc: "The webhook's certificate, issued by cert-manager.", values: []value{{
			name: "issuerRef", preset: "{}", schema: issuerSchema(),
			doc: "An issuer of your own: name, kind (Issuer, in the release's namespace, or ClusterIssuer) and group. It has to issue names of Services and to tell its authority (ca.crt), as CA and Vault issuers do. Empty for an authority made for this alone.",
		}}},
	}
}

// podValues say where the manager's pods run, and what is on its objects.
func podValues(spread string) []value {
	return []value{
		{name: "nodeSelector", preset: "{}", schema: texts, doc: "Labels of the nodes that the manager may run on."},
		{name: "tolerations", preset: "[]", schema: sequence, doc: "Taints of nodes that the manager may run on all the same (Toleration)."},
		{name: "affinity", preset: "{}", schema: mapping, doc: "Where the manager's pods run (Affinity)."},
		{
			name: "topologySpreadConstraints", preset: spread, schema: sequence,
			doc: "How the manager's pods are spread (TopologySpreadConstraint).",
		},
		{name: "priorityClassName", preset: `""`, schema: text, doc: "PriorityClass of the manager's pods."},
		{name: "podAnnotations", preset: "{}", schema: texts, doc: "More annotations of the manager's pods."},
		{name: "podLabels", preset: "{}", schema: texts, doc: "More labels of the manager's pods."},
		{name: "serviceAccount", doc: "The manager's ServiceAccount. Its name is fixed, since policies are about it.", values: []value{
			{name: "annotations", preset: "{}", schema: texts, doc: "Its annotations."},
		}},
	}
}

func issuerSchema() schema {
	return schema{
		"type": "object", "additionalProperties": false,
		"properties": schema{
			"name":  schema{"type": "string", "minLength": 1, "description": "The issuer's name."},
			"kind":  schema{"type": "string", "description": "Issuer or ClusterIssuer, or that of an external issuer."},
			"group": schema{"type": "string", "description": "cert-manager.io, or that of an external issuer."},
		},
		"anyOf": []schema{{"maxProperties": 0}, {"required": []string{"name"}}},
	}
}

// chartFlags are flags that are the chart's own business, besides those that the
// bases set.
var chartFlags = []string{"kubeconfig", "metrics-bind-address", "namespace", "webhook", "webhook-cert-dir", "webhook-host"}

// flagsSchema returns what flags may be set, and to what.
func flagsSchema(set []string) schema {
	properties := schema{}
	for _, flags := range options.New().Flags().FlagSets {
		flags.VisitAll(func(flag *pflag.Flag) {
			if slices.Contains(set, flag.Name) || slices.Contains(chartFlags, flag.Name) {
				return
			}
			described := flagSchema(flag.Value.Type())
			_, usage := pflag.UnquoteUsage(flag)
			described["description"] = usage
			properties[flag.Name] = described
		})
	}
	return schema{"type": "object", "additionalProperties": false, "properties": properties}
}

func flagSchema(kind string) schema {
	switch {
	case kind == "bool":
		return schema{"type": "boolean"}
	case strings.HasPrefix(kind, "int"):
		return schema{"type": "integer"}
	case strings.HasSuffix(kind, "Array"), strings.HasSuffix(kind, "Slice"):
		return schema{"type": []string{"string", "array"}, "items": text}
	default:
		// Durations and quantities, also 0.
		return schema{"type": []string{"string", "integer"}}
	}
}

func quoted(text string) string {
	if text == "" {
		return `""`
	}
	return text
}
