package selftest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
)

// finding is what one test found.
type finding struct {
	result Result
	// missing is what is not there of the stamp; empty if the webhook did not
	// answer at all.
	missing []string
	// why is what the API server said instead of creating a Job, if anything.
	why string
}

// judge looks at the Job that came back.
func judge(job *batchv1.Job, word string) finding {
	if !answered(job, word) {
		return finding{result: Unstamped}
	}
	if parts := missing(job); len(parts) > 0 {
		return finding{result: Unstamped, missing: parts}
	}
	return finding{result: Stamped}
}

// judgeError tells an answer that is no from none at all.
func judgeError(err error) finding {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		// Its text has ports and times in it: each would count as another problem.
		return finding{result: Unanswered, why: "it cannot be reached, or took too long"}
	}
	switch code := status.Status().Code; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= http.StatusInternalServerError:
		return finding{result: Unanswered, why: err.Error()}
	}
	return finding{result: Refused, why: err.Error()}
}

const meanwhile = "; until then Jobs are stamped when the manager first sees them"

// problem says what was found, and what to do about it. The configuration is
// that of the name, nil if it cannot be read.
func (f *finding) problem(configuration *admissionv1.MutatingWebhookConfiguration, name string) events.Problem {
	p := events.Problem{Class: string(f.result)}
	if configuration != nil {
		p.About = configuration
	}
	switch {
	case f.result == Refused:
		p.Text = fmt.Sprintf("the self-test cannot run: the API server refuses its Job, in a dry run: %s", f.why)
		p.Remedy = "apply the Role and policies of this version, and exempt Jobs labelled " + api.SelfTestLabel +
			" from other policies and webhooks that refuse them; --self-test-interval=0 turns the test off"
	case f.result == Unanswered:
		p.Text = "the self-test cannot run: the API server did not answer: " + f.why
		p.Remedy = "if this persists, check the connection to the API server, and other webhooks that it waits for"
	case len(f.missing) > 0:
		p.Text = "Jobs do not keep the stamp that the webhook gives them: missing is " + strings.Join(f.missing, ", ")
		p.Remedy = "look for another mutating webhook or policy that changes Jobs, and exempt the prefix " + api.Prefix + meanwhile
	case configuration != nil && !sends(configuration):
		p.Text = "the mutating webhook configuration " + name + " does not send the self-test to the webhook"
		p.Remedy = "apply the webhook configurations of this version" + meanwhile
	default:
		p.Text = "Jobs are not stamped when they are created: the API server got no answer from the webhook"
		p.Remedy = "see whether the manager's pods are ready (/readyz/webhook says why not), whether the mutating webhook configuration " + name +
			" exists and its caBundle trusts their certificate, and whether the API server reaches their Service (a NetworkPolicy or firewall; its log says 'failed calling webhook')" + meanwhile
	}
	return p
}

// sends reports whether the configuration has an entry for the self-test.
func sends(configuration *admissionv1.MutatingWebhookConfiguration) bool {
	for i := range configuration.Webhooks {
		selector := configuration.Webhooks[i].ObjectSelector
		if selector != nil && selector.MatchLabels[api.SelfTestLabel] == api.True {
			return true
		}
	}
	return false
}
