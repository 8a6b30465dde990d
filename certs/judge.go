package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/job-handler/job-handler/internal/events"
)

const (
	// A certificate is due in the last quarter of its lifetime, and not before its last
	// week. cert-manager renews it when a third is left, so cert-manager and the kubelet
	// have had time by then.
	dueFraction = 4
	dueAtMost   = 7 * 24 * time.Hour
)

// problem is something wrong.
type problem struct {
	events.Problem

	// blocks is true if the problem makes the manager unready.
	blocks bool
}

// judge returns the problems. Once the Certificate was issued, it alone does not make the
// manager unready: the served certificate counts.
func judge(o *observation, issuedBefore bool, now time.Time) []problem {
	problems := o.certificate.judge(issuedBefore)
	problems = append(problems, judgeServed(o, now)...)
	for i := range o.configurations {
		problems = append(problems, o.configurations[i].judge(o.served, now)...)
	}
	for i := range problems {
		if problems[i].About == nil {
			problems[i].About = o.about()
		}
	}
	return problems
}

func (c *certificate) judge(issuedBefore bool) []problem {
	if c.name.Name == "" || c.issued() && c.err == nil {
		return nil
	}
	p := problem{Problem: events.Problem{Class: "certificate"}, blocks: !issuedBefore}
	if c.object != nil {
		p.About = c.object
	}
	describe := fmt.Sprintf("kubectl describe certificate --namespace %s %s", c.name.Namespace, c.name.Name)
	switch {
	case apierrors.IsNotFound(c.err):
		p.Text = fmt.Sprintf("Certificate %s does not exist", c.name)
		p.Remedy = "apply the Certificate, or leave --webhook-certificate empty if the files come from elsewhere"
	case meta.IsNoMatchError(c.err):
		p.Text = fmt.Sprintf("Certificate %s cannot exist: cert-manager is not installed", c.name)
		p.Remedy = "install cert-manager, or leave --webhook-certificate empty and put tls.crt and tls.key into --webhook-cert-dir"
	case c.err != nil:
		p.Text = fmt.Sprintf("Certificate %s cannot be read: %v", c.name, c.err)
		p.Remedy = "if this persists, check the connection to the API server and the manager's Role"
	default:
		p.Text = fmt.Sprintf("Certificate %s is not Ready: %s", c.name, c.reason())
		p.Remedy = describe + "; see also cert-manager's log"
	}
	return []problem{p}
}

// issued reports whether the Certificate is Ready.
func (c *certificate) issued() bool {
	condition := c.ready()
	return condition != nil && condition.Status == cmmeta.ConditionTrue
}

func (c *certificate) reason() string {
	if condition := c.ready(); condition != nil {
		return condition.Reason + ": " + condition.Message
	}
	return "cert-manager has not processed it yet"
}

func (c *certificate) ready() *certmanagerv1.CertificateCondition {
	if c.object == nil {
		return nil
	}
	for i := range c.object.Status.Conditions {
		if c.object.Status.Conditions[i].Type == certmanagerv1.CertificateConditionReady {
			return &c.object.Status.Conditions[i]
		}
	}
	return nil
}

// judgeServed judges the served certificate by itself.
func judgeServed(o *observation, now time.Time) []problem {
	const fill = "put tls.crt and tls.key, a pair, there: with cert-manager, mount the Certificate's Secret"
	leaf := o.leaf()
	p := problem{Problem: events.Problem{Class: "served"}, blocks: true}
	switch {
	case o.loaded == nil:
		p.Text, p.Remedy = fmt.Sprintf("there is no certificate in %s: %v", o.dir, o.loadError), fill
	case leaf == nil:
		p.Text = fmt.Sprintf("the webhook server does not answer on %s: %v", o.address, o.serveError)
		p.Remedy = "restart the manager if this persists"
	case !leaf.Equal(o.loaded):
		p.Text = fmt.Sprintf("%s answers with another certificate than that in %s", o.address, o.dir)
		p.Remedy = "look for another process on the port, or set --webhook-port"
	case now.Before(leaf.NotBefore):
		p.Text = "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)
		p.Remedy = "check the clocks of this node and of the one where the certificate was made"
	case now.After(leaf.NotAfter):
		p.Text = "the certificate expired at " + leaf.NotAfter.UTC().Format(time.RFC3339)
		p.Remedy = o.certificate.renew()
	case due(leaf, o.certificate.object, now):
		p.Text = "the certificate expires at " + leaf.NotAfter.UTC().Format(time.RFC3339) + " and has not been renewed"
		p.Remedy, p.Class, p.blocks = o.certificate.renew(), "expiry", false
	default:
		return nil
	}
	return []problem{p}
}

func (c *certificate) renew() string {
	if c.name.Name == "" {
		return "replace tls.crt and tls.key; they are loaded without a restart"
	}
	return fmt.Sprintf("see why cert-manager does not renew it: kubectl describe certificate --namespace %s %s; "+
		"if it is renewed, see whether its Secret is mounted", c.name.Namespace, c.name.Name)
}

// due reports whether leaf should have been renewed by now.
func due(leaf *x509.Certificate, object *certmanagerv1.Certificate, now time.Time) bool {
	if object != nil && plansToRenew(&object.Status, leaf, now) {
		return false
	}
	margin := min(leaf.NotAfter.Sub(leaf.NotBefore)/dueFraction, dueAtMost)
	return leaf.NotAfter.Sub(now) < margin
}

// plansToRenew reports whether leaf is cert-manager's last one, to be renewed later.
func plansToRenew(status *certmanagerv1.CertificateStatus, leaf *x509.Certificate, now time.Time) bool {
	return status.NotAfter != nil && status.NotAfter.Time.Equal(leaf.NotAfter) &&
		status.RenewalTime != nil && status.RenewalTime.After(now)
}

// judge checks that the configuration trusts the served certificate, if any.
func (c *configuration) judge(served []*x509.Certificate, now time.Time) []problem {
	p := problem{Problem: events.Problem{Class: "bundle/" + c.kind, About: c.object}, blocks: true}
	switch {
	case apierrors.IsNotFound(c.err):
		p.Text = fmt.Sprintf("the %s webhook configuration %s does not exist", c.kind, c.name)
		p.Remedy = "apply config/webhook; until then Jobs are stamped when the manager first sees them"
	case c.err != nil:
		p.Text = fmt.Sprintf("the %s webhook configuration %s cannot be read: %v", c.kind, c.name, c.err)
		p.Remedy = "if this persists, check the connection to the API server and the manager's ClusterRole"
		// The state that was read before still tells whether the certificate is trusted.
		p.blocks = c.object == nil || c.distrust(served, now) != nil
	default:
		err := c.distrust(served, now)
		if err == nil {
			return nil
		}
		p.Text = fmt.Sprintf("the %s webhook configuration %s does not trust the certificate: %v", c.kind, c.name, err)
		p.Remedy = "with cert-manager, see that its CA injector runs and that the annotation cert-manager.io/inject-ca-from " +
			"names the Certificate; else set caBundle to the authority that signed tls.crt"
	}
	return []problem{p}
}

// distrust returns why the API server would not trust the served certificate, or nil. No
// served certificate is another problem, and not reported here.
func (c *configuration) distrust(served []*x509.Certificate, now time.Time) error {
	if len(served) == 0 {
		return nil
	}
	var reasons []string
	seen := map[string]bool{}
	for _, each := range c.hooks {
		if reason := each.distrust(served, now); reason != "" && !seen[reason] {
			seen[reason] = true
			reasons = append(reasons, each.name+": "+reason)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}

// distrust verifies the certificate as the API server does in the handshake, and returns
// why that fails, "" if it does not. Expiry is another problem, and so the time is one at
// which the leaf is valid.
func (h *hook) distrust(served []*x509.Certificate, now time.Time) string {
	if len(h.caBundle) == 0 {
		return "it has no caBundle"
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(h.caBundle) {
		return "its caBundle holds no certificate"
	}
	intermediates := x509.NewCertPool()
	for _, each := range served[1:] {
		intermediates.AddCert(each)
	}
	leaf := served[0]
	if now.Before(leaf.NotBefore) {
		now = leaf.NotBefore
	}
	if now.After(leaf.NotAfter) {
		now = leaf.NotAfter
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		DNSName: h.host, Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return err.Error()
	}
	return ""
}
