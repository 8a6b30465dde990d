package certs

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const day = 24 * time.Hour

var (
	errAway = errors.New("connection refused")

	errNoCertificate   = apierrors.NewNotFound(schema.GroupResource{Group: "cert-manager.io", Resource: "certificates"}, "serving")
	errNoConfiguration = apierrors.NewNotFound(schema.GroupResource{Resource: "mutatingwebhookconfigurations"}, "job-handler")
	errNoCertManager   = &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}}
)

func certificateWith(conditions ...certmanagerv1.CertificateCondition) *certmanagerv1.Certificate {
	return &certmanagerv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "serving"},
		Status:     certmanagerv1.CertificateStatus{Conditions: conditions},
	}
}

func readyIs(status cmmeta.ConditionStatus, reason, message string) certmanagerv1.CertificateCondition {
	return certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: status, Reason: reason, Message: message}
}

// allWell is an observation in which nothing is wrong, at now.
func allWell(ca *authority) *observation {
	leaf := ca.leaf(10*day, 80*day)
	good := func(name string) hook { return hook{name, host, ca.pem()} }
	return &observation{
		dir: "/certs", address: "[::]:9443", loaded: leaf, served: []*x509.Certificate{leaf},
		certificate: certificate{
			name:   types.NamespacedName{Namespace: "ns", Name: "serving"},
			object: certificateWith(readyIs(cmmeta.ConditionTrue, "Ready", "")),
		},
		configurations: []configuration{
			{kind: mutating, name: "job-handler", object: &admissionv1.MutatingWebhookConfiguration{}, hooks: []hook{good("a"), good("b")}},
			{kind: validating, name: "job-handler", object: &admissionv1.ValidatingWebhookConfiguration{}, hooks: []hook{good("c")}},
		},
	}
}

// verdict is what judge says, by class; a leading ! marks what blocks.
func verdict(problems []problem) map[string]string {
	got := map[string]string{}
	for _, p := range problems {
		class := p.Class
		if p.blocks {
			class = "!" + class
		}
		got[class] = p.Text
	}
	return got
}

func TestJudge(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	const distrusts = "the mutating webhook configuration job-handler does not trust the certificate: "
	for name, test := range map[string]struct {
		change       func(o *observation)
		issuedBefore bool
		want         map[string]string
	}{
		"all is well": {change: func(*observation) {}},
		"no cert-manager, and none wanted": {
			change: func(o *observation) { o.certificate = certificate{} },
		},

		"no Certificate": {
			change: func(o *observation) { o.certificate.object, o.certificate.err = nil, errNoCertificate },
			want:   map[string]string{"!certificate": "Certificate ns/serving does not exist"},
		},
		"no cert-manager": {
			change: func(o *observation) { o.certificate.object, o.certificate.err = nil, errNoCertManager },
			want:   map[string]string{"!certificate": "Certificate ns/serving cannot exist: cert-manager is not installed"},
		},
		"the Certificate was never read": {
			change: func(o *observation) { o.certificate.object, o.certificate.err = nil, errAway },
			want:   map[string]string{"!certificate": "Certificate ns/serving cannot be read: connection refused"},
		},
		"the Certificate is new": {
			change: func(o *observation) { o.certificate.object = certificateWith() },
			want:   map[string]string{"!certificate": "Certificate ns/serving is not Ready: cert-manager has not processed it yet"},
		},
		"the Certificate is not issued": {
			change: func(o *observation) {
				issuing := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}
				o.certificate.object = certificateWith(issuing, readyIs(cmmeta.ConditionFalse, "DoesNotExist", "No Secret"))
			},
			want: map[string]string{"!certificate": "Certificate ns/serving is not Ready: DoesNotExist: No Secret"},
		},
		"the Certificate is not issued any more, and what is served is still good": {
			change:       func(o *observation) { o.certificate.object = certificateWith(readyIs("Unknown", "R", "m")) },
			issuedBefore: true,
			want:         map[string]string{"certificate": "Certificate ns/serving is not Ready: R: m"},
		},

		"no files": {
			change: func(o *observation) { o.loaded, o.served, o.loadError = nil, nil, errors.New("no such file") },
			want:   map[string]string{"!served": "there is no certificate in /certs: no such file"},
		},
		"no answer": {
			change: func(o *observation) { o.served, o.serveError = nil, errAway },
			want:   map[string]string{"!served": "the webhook server does not answer on [::]:9443: connection refused"},
		},
		"somebody else answers": {
			change: func(o *observation) { o.loaded = ca.leaf(0, day) },
			want:   map[string]string{"!served": "[::]:9443 answers with another certificate than that in /certs"},
		},
		"not valid yet": {
			change: func(o *observation) { serve(o, ca.leaf(-time.Hour, 80*day)) },
			want:   map[string]string{"!served": "the certificate is not valid before 2026-11-03T11:00:00Z"},
		},
		"expired, which is one problem only": {
			change: func(o *observation) { serve(o, ca.leaf(90*day, -time.Hour)) },
			want:   map[string]string{"!served": "the certificate expired at 2026-11-03T09:00:00Z"},
		},
		"due": {
			change: func(o *observation) { serve(o, ca.leaf(84*day, 6*day)) },
			want:   map[string]string{"expiry": "the certificate expires at 2026-11-09T10:00:00Z and has not been renewed"},
		},

		"a stranger's bundle in one entry": {
			change: func(o *observation) { o.configurations[0].hooks[1].caBundle = other.pem() },
			want:   map[string]string{"!bundle/mutating": distrusts + "b: x509: certificate signed by unknown authority"},
		},
		"the same in each entry is said once": {
			change: func(o *observation) {
				o.configurations[0].hooks[0].caBundle, o.configurations[0].hooks[1].caBundle = nil, nil
			},
			want: map[string]string{"!bundle/mutating": distrusts + "a: it has no caBundle"},
		},
		"a bundle that is none": {
			change: func(o *observation) { o.configurations[0].hooks[0].caBundle = []byte("Cg==") },
			want:   map[string]string{"!bundle/mutating": distrusts + "a: its caBundle holds no certificate"},
		},
		"a bundle of two authorities": {
			change: func(o *observation) {
				o.configurations[0].hooks[0].caBundle = append(other.pem(), ca.pem()...)
			},
		},
		"for another name": {
			change: func(o *observation) { o.configurations[0].hooks[0].host = "webhook.other.svc" },
			want: map[string]string{
				"!bundle/mutating": distrusts + "a: x509: certificate is valid for webhook.ns.svc, not webhook.other.svc",
			},
		},
		"through an intermediate authority that is served": {
			change: func(o *observation) {
				below := ca.intermediate()
				serve(o, below.leaf(10*day, 80*day), below.certificate)
			},
		},
		"no configuration": {
			change: func(o *observation) {
				o.configurations[0] = configuration{kind: mutating, name: "job-handler", err: errNoConfiguration}
			},
			want: map[string]string{"!bundle/mutating": "the mutating webhook configuration job-handler does not exist"},
		},
		"a configuration that was never read": {
			change: func(o *observation) {
				o.configurations[0] = configuration{kind: mutating, name: "job-handler", err: errAway}
			},
			want: map[string]string{"!bundle/mutating": "the mutating webhook configuration job-handler cannot be read: connection refused"},
		},
		"the API server is away for a while": {
			change: func(o *observation) {
				o.certificate.err, o.configurations[0].err, o.configurations[1].err = errAway, errAway, errAway
			},
			issuedBefore: true,
			want: map[string]string{
				"certificate":       "Certificate ns/serving cannot be read: connection refused",
				"bundle/mutating":   "the mutating webhook configuration job-handler cannot be read: connection refused",
				"bundle/validating": "the validating webhook configuration job-handler cannot be read: connection refused",
			},
		},
		"the API server is away, and what it said last was bad": {
			change: func(o *observation) {
				o.configurations[0].err, o.configurations[0].hooks[0].caBundle = errAway, nil
			},
			want: map[string]string{"!bundle/mutating": "the mutating webhook configuration job-handler cannot be read: connection refused"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := allWell(ca)
			test.change(o)
			problems := judge(o, test.issuedBefore, now)
			if test.want == nil {
				test.want = map[string]string{}
			}
			if diff := cmp.Diff(test.want, verdict(problems)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, p := range problems {
				if p.Remedy == "" || p.About == nil || strings.Contains(p.Text, "  ") {
					t.Errorf("%+v: there is nothing to do, or nothing that it is about", p)
				}
			}
		})
	}
}

func serve(o *observation, chain ...*x509.Certificate) {
	o.loaded, o.served = chain[0], chain
}

// Without any object to write on, a problem is still told.
func TestJudgeWithoutObjects(t *testing.T) {
	problems := judge(&observation{dir: "/certs", loadError: errAway}, false, now)
	if len(problems) != 1 || problems[0].About != nil {
		t.Errorf("problems: %+v", problems)
	}
}

func TestDue(t *testing.T) {
	ca := newAuthority(t, "ca")
	status := func(leaf *x509.Certificate, renewal time.Duration) *certmanagerv1.Certificate {
		c := certificateWith()
		c.Status.NotAfter = &metav1.Time{Time: leaf.NotAfter}
		c.Status.RenewalTime = &metav1.Time{Time: now.Add(renewal)}
		return c
	}
	for name, test := range map[string]struct {
		age, left time.Duration
		renewal   time.Duration
		another   bool
		want      bool
	}{
		"a year, a week and a bit left":          {age: 358 * day, left: 7*day + time.Second},
		"a year, a week left":                    {age: 358 * day, left: 7*day - time.Second, want: true},
		"cert-manager's 90 days, to be renewed":  {age: 60 * day, left: 30 * day},
		"a day, a quarter and a bit left":        {age: 18 * time.Hour, left: 6*time.Hour + time.Minute},
		"a day, less than a quarter left":        {age: 18 * time.Hour, left: 6*time.Hour - time.Minute, want: true},
		"an hour, being renewed":                 {age: 40 * time.Minute, left: 20 * time.Minute},
		"to be renewed late, as was asked":       {age: 23 * time.Hour, left: time.Hour, renewal: time.Minute},
		"to be renewed late, and late for that":  {age: 23 * time.Hour, left: time.Hour, renewal: -time.Minute, want: true},
		"another one is there but is not served": {age: 23 * time.Hour, left: time.Hour, renewal: day, another: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := ca.leaf(test.age, test.left)
			var object *certmanagerv1.Certificate
			switch {
			case test.another:
				object = status(ca.leaf(0, day), test.renewal)
			case test.renewal != 0:
				object = status(leaf, test.renewal)
			}
			if got := due(leaf, object, now); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestNewHook(t *testing.T) {
	url := "https://127.0.0.1:9443/job"
	for name, test := range map[string]struct {
		config admissionv1.WebhookClientConfig
		want   hook
	}{
		"a Service": {
			admissionv1.WebhookClientConfig{
				Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "webhook"}, CABundle: []byte("\n"),
			},
			hook{name: "h", host: host},
		},
		"a URL": {
			admissionv1.WebhookClientConfig{URL: &url, CABundle: []byte("x")},
			hook{name: "h", host: "127.0.0.1", caBundle: []byte("x")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := newHook("h", &test.config)
			if got.name != test.want.name || got.host != test.want.host || string(got.caBundle) != string(test.want.caBundle) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
