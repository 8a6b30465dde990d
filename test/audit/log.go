package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The annotation with which the API server logs how a request was authorized.
const (
	decisionAnnotation = "authorization.k8s.io/decision"
	allow              = "allow"
	forbid             = "forbid"
)

// Request is what RBAC is asked about. Requests are compared by value.
type Request struct {
	// Verb is RBAC's, such as list.
	Verb string
	// Group is the API group, empty for the core group.
	Group string
	// Resource is with its subresource, such as pods/log; empty for a Path.
	Resource string
	// Namespace is empty for what is in none, and for all of them.
	Namespace string
	// Name is empty where a request names no object, as with create and list.
	Name string
	// Path is that of a request for no resource, such as /healthz.
	Path string
}

// String returns the request in words.
func (r Request) String() string {
	if r.Resource == "" {
		return r.Verb + " " + r.Path
	}
	text := r.Verb + " " + joined(r.Group, r.Resource)
	if r.Name != "" {
		text += " " + r.Name
	}
	if r.Namespace != "" {
		text += " in " + r.Namespace
	}
	return text
}

func joined(group, resource string) string {
	if group == "" {
		return resource
	}
	return resource + "." + group
}

// Use is what one user asked for, each request once, in the order of the log.
type Use struct {
	// Allowed are the requests that RBAC let through, whatever became of them.
	Allowed []Request
	// Refused are those that it did not.
	Refused []Request

	times map[Request]int
}

// Times returns how often RBAC was asked about the request.
func (u Use) Times(request Request) int { return u.times[request] }

// event is what is needed of an audit.k8s.io/v1 Event.
type event struct {
	Kind       string `json:"kind"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef *struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Annotations map[string]string `json:"annotations"`
}

// Used reads an audit log, JSON lines of the level Metadata or above, and
// returns what user asked for. A last line that is still being written is left
// out; an error says that another one cannot be read.
func Used(log io.Reader, user string) (Use, error) {
	text, err := io.ReadAll(log)
	if err != nil {
		return Use{}, fmt.Errorf("reading the audit log: %w", err)
	}
	var use Use
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return Use{}, fmt.Errorf("reading line %d of the audit log: %w", number, err)
		}
		if e.Kind != "Event" {
			return Use{}, fmt.Errorf("reading line %d of the audit log: %w", number, errors.New("it is no Event"))
		}
		if e.User.Username == user {
			use.add(&e)
		}
	}
	return use, nil
}

func (u *Use) add(e *event) {
	var into *[]Request
	switch e.Annotations[decisionAnnotation] {
	case allow:
		into = &u.Allowed
	case forbid:
		into = &u.Refused
	default:
		// Ended before it was authorized: bad credentials, too many requests.
		return
	}
	request := e.request()
	if !slices.Contains(*into, request) {
		*into = append(*into, request)
	}
	if u.times == nil {
		u.times = map[Request]int{}
	}
	u.times[request]++
}

func (e *event) request() Request {
	if e.ObjectRef == nil {
		path, _, _ := strings.Cut(e.RequestURI, "?")
		return Request{Verb: e.Verb, Path: path}
	}
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	request := Request{
		Verb: e.Verb, Group: e.ObjectRef.APIGroup, Resource: resource,
		Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
	}
	if e.Verb == "create" && e.ObjectRef.Subresource == "" {
		// The log has the name from the object; RBAC is asked before it is read.
		request.Name = ""
	}
	return request
}
