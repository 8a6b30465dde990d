package audit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/job-handler/job-handler/test/audit"
)

const robot = "system:serviceaccount:here:robot"

// logged is a line as an API server writes it.
const logged = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata",` +
	`"auditID":"0a1b","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/team/pods/import-x7k2p/log?container=main",` +
	`"verb":"get","user":{"username":"system:serviceaccount:here:robot","groups":["system:serviceaccounts","system:authenticated"]},` +
	`"sourceIPs":["127.0.0.1"],"userAgent":"robot/v1","objectRef":{"resource":"pods","namespace":"team","name":"import-x7k2p",` +
	`"apiVersion":"v1","subresource":"log"},"responseStatus":{"metadata":{},"code":200},` +
	`"requestReceivedTimestamp":"2026-11-23T08:00:00.000000Z","stageTimestamp":"2026-11-23T08:00:00.010000Z",` +
	`"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding"}}` + "\n"

// line is that of one request for a resource.
func line(user, decision, verb, ref string) string {
	return fmt.Sprintf(`{"kind":"Event","verb":%q,"user":{"username":%q},"objectRef":{%s},"annotations":{"authorization.k8s.io/decision":%q}}`,
		verb, user, ref, decision) + "\n"
}

func TestUsed(t *testing.T) {
	for name, test := range map[string]struct {
		log  string
		want audit.Use
	}{
		"empty": {},
		"a line as it is": {
			log: logged,
			want: audit.Use{Allowed: []audit.Request{
				{Verb: "get", Resource: "pods/log", Namespace: "team", Name: "import-x7k2p"},
			}},
		},
		"once each, in order": {
			log: line(robot, "allow", "watch", `"apiGroup":"batch","resource":"jobs"`) +
				line(robot, "allow", "list", `"apiGroup":"batch","resource":"jobs"`) +
				line(robot, "allow", "watch", `"apiGroup":"batch","resource":"jobs"`),
			want: audit.Use{Allowed: []audit.Request{
				{Verb: "watch", Group: "batch", Resource: "jobs"}, {Verb: "list", Group: "batch", Resource: "jobs"},
			}},
		},
		"others": {
			log: line("system:serviceaccount:here:robot2", "allow", "get", `"resource":"secrets"`) +
				line("alice", "forbid", "get", `"resource":"secrets"`),
		},
		"refused": {
			log: line(robot, "forbid", "list", `"resource":"secrets","namespace":"team"`),
			want: audit.Use{Refused: []audit.Request{
				{Verb: "list", Resource: "secrets", Namespace: "team"},
			}},
		},
		"refused by somebody else than RBAC": {
			log: strings.Replace(line(robot, "allow", "delete", `"apiGroup":"batch","resource":"jobs","namespace":"team","name":"a"`),
				`"kind"`, `"responseStatus":{"code":403},"kind"`, 1),
			want: audit.Use{Allowed: []audit.Request{
				{Verb: "delete", Group: "batch", Resource: "jobs", Namespace: "team", Name: "a"},
			}},
		},
		"never authorized": {
			log: `{"kind":"Event","verb":"get","user":{"username":"` + robot + `"},"objectRef":{"resource":"pods"}}` + "\n",
		},
		"created objects have no name yet": {
			log: line(robot, "allow", "create", `"resource":"configmaps","namespace":"team","name":"import-results"`) +
				line(robot, "allow", "create", `"resource":"pods","subresource":"eviction","namespace":"team","name":"import"`),
			want: audit.Use{Allowed: []audit.Request{
				{Verb: "create", Resource: "configmaps", Namespace: "team"},
				{Verb: "create", Resource: "pods/eviction", Namespace: "team", Name: "import"},
			}},
		},
		"no resource": {
			log: `{"kind":"Event","verb":"get","requestURI":"/apis?timeout=32s","user":{"username":"` + robot +
				`"},"annotations":{"authorization.k8s.io/decision":"allow"}}` + "\n",
			want: audit.Use{Allowed: []audit.Request{{Verb: "get", Path: "/apis"}}},
		},
		"a line being written": {log: logged[:len(logged)/2]},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := audit.Used(strings.NewReader(test.log), robot)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(audit.Use{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, request := range append(got.Allowed, got.Refused...) {
				if n := got.Times(request); n < 1 {
					t.Errorf("%s: %d times", request, n)
				}
			}
		})
	}
}

func TestUsedOfWhatIsNoLog(t *testing.T) {
	for name, log := range map[string]string{
		"text":         logged + "no JSON\n",
		"another kind": logged + `{"kind":"Pod"}` + "\n",
	} {
		if use, err := audit.Used(strings.NewReader(log), robot); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v, error %v, want one that names line 2", name, use, err)
		}
	}
}
