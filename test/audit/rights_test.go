package audit_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/test/audit"
)

const roles = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: robot}
rules:
- {apiGroups: ["", batch], resources: [jobs, pods/log], verbs: [get, list]}
- {nonResourceURLs: [/healthz], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: robot, namespace: here}
rules:
- {apiGroups: [cert-manager.io], resources: [certificates], resourceNames: [a, b], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: robot, namespace: here}
---
apiVersion: example.com/v1
kind: Role
metadata: {name: other}
rules: [{verbs: [sing]}]
`

func TestGranted(t *testing.T) {
	objects, err := config.Decode([]byte(roles))
	if err != nil {
		t.Fatal(err)
	}
	rights, err := audit.Granted(objects)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"get jobs", "get pods/log", "get jobs.batch", "get pods/log.batch",
		"list jobs", "list pods/log", "list jobs.batch", "list pods/log.batch",
		"get /healthz",
		"get certificates.cert-manager.io a in here", "get certificates.cert-manager.io b in here",
	}
	if diff := cmp.Diff(want, texts(rights)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestGrantedOfWhatIsNoRole(t *testing.T) {
	objects, err := config.Decode([]byte("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, rules: nonsense}"))
	if err != nil {
		t.Fatal(err)
	}
	if rights, err := audit.Granted(objects); err == nil {
		t.Errorf("rights %v, want an error", rights)
	}
}

func TestUnused(t *testing.T) {
	jobs := audit.Right{Verb: "get", Group: "batch", Resource: "jobs"}
	leaf := audit.Right{Verb: "get", Group: "cert-manager.io", Resource: "certificates", Name: "leaf", Namespace: "here"}
	health := audit.Right{Verb: "get", Path: "/health*"}
	for name, test := range map[string]struct {
		right audit.Right
		used  audit.Request
		want  bool
	}{
		"the same":            {jobs, audit.Request{Verb: "get", Group: "batch", Resource: "jobs"}, true},
		"of one object":       {jobs, audit.Request{Verb: "get", Group: "batch", Resource: "jobs", Namespace: "team", Name: "a"}, true},
		"another verb":        {jobs, audit.Request{Verb: "list", Group: "batch", Resource: "jobs"}, false},
		"another group":       {jobs, audit.Request{Verb: "get", Resource: "jobs"}, false},
		"another resource":    {jobs, audit.Request{Verb: "get", Group: "batch", Resource: "cronjobs"}, false},
		"a subresource":       {jobs, audit.Request{Verb: "get", Group: "batch", Resource: "jobs/status"}, false},
		"no resource":         {jobs, audit.Request{Verb: "get", Path: "/apis/batch/v1/jobs"}, false},
		"the one object":      {leaf, audit.Request{Verb: "get", Group: "cert-manager.io", Resource: "certificates", Namespace: "here", Name: "leaf"}, true},
		"another object":      {leaf, audit.Request{Verb: "get", Group: "cert-manager.io", Resource: "certificates", Namespace: "here", Name: "ca"}, false},
		"all objects":         {leaf, audit.Request{Verb: "get", Group: "cert-manager.io", Resource: "certificates", Namespace: "here"}, false},
		"elsewhere":           {leaf, audit.Request{Verb: "get", Group: "cert-manager.io", Resource: "certificates", Namespace: "there", Name: "leaf"}, false},
		"any verb":            {audit.Right{Verb: "*", Group: "batch", Resource: "jobs"}, audit.Request{Verb: "list", Group: "batch", Resource: "jobs"}, true},
		"any resource":        {audit.Right{Verb: "get", Group: "*", Resource: "*"}, audit.Request{Verb: "get", Resource: "pods/log"}, true},
		"any one's status":    {audit.Right{Verb: "get", Group: "batch", Resource: "*/status"}, audit.Request{Verb: "get", Group: "batch", Resource: "jobs/status"}, true},
		"any one's scale":     {audit.Right{Verb: "get", Group: "batch", Resource: "*/scale"}, audit.Request{Verb: "get", Group: "batch", Resource: "jobs/status"}, false},
		"a path":              {audit.Right{Verb: "get", Path: "/apis"}, audit.Request{Verb: "get", Path: "/apis"}, true},
		"below a path":        {audit.Right{Verb: "get", Path: "/apis"}, audit.Request{Verb: "get", Path: "/apis/batch"}, false},
		"an open path":        {health, audit.Request{Verb: "get", Path: "/healthz"}, true},
		"another path":        {health, audit.Request{Verb: "get", Path: "/readyz"}, false},
		"a path's verb":       {health, audit.Request{Verb: "post", Path: "/healthz"}, false},
		"a resource, no path": {audit.Right{Verb: "get", Path: "*"}, audit.Request{Verb: "get", Resource: "pods"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			unused := audit.Unused([]audit.Right{test.right}, []audit.Request{{Verb: "sing"}, test.used})
			if used := len(unused) == 0; used != test.want {
				t.Errorf("%s used by %s: %v", test.right, test.used, used)
			}
			outside := audit.Outside([]audit.Right{{Verb: "sing"}, test.right}, []audit.Request{test.used})
			if inside := len(outside) == 0; inside != test.want {
				t.Errorf("%s allows %s: %v", test.right, test.used, inside)
			}
		})
	}
}

func TestUnusedKeepsOrder(t *testing.T) {
	rights := []audit.Right{{Verb: "c", Resource: "x"}, {Verb: "b", Resource: "x"}, {Verb: "a", Resource: "x"}}
	unused := audit.Unused(rights, []audit.Request{{Verb: "b", Resource: "x"}})
	if diff := cmp.Diff([]string{"c x", "a x"}, texts(unused)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func texts[T fmt.Stringer](things []T) []string {
	var texts []string
	for _, thing := range things {
		texts = append(texts, thing.String())
	}
	return texts
}
