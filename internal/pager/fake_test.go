package pager

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const filler = "filler"

// server lists objects of these sizes, over a Transport. Its hook may answer in its
// place.
type server struct {
	client.Reader
	sizes  []int
	before func(options *client.ListOptions) error

	// asked are the objects that requests asked for, read the bytes of their answers
	// that were read.
	asked, read []int
}

var shared = strings.Repeat("x", 16<<20)

func objectOf(number, size int) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("object-%06d", number), Annotations: map[string]string{filler: shared[:size]},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
}

// List implements client.Reader.
func (s *server) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(options)
	s.asked = append(s.asked, int(wanted.Limit))
	if s.before != nil {
		if err := s.before(&wanted); err != nil {
			return err
		}
	}
	from, _ := strconv.Atoi(wanted.Continue)
	to := min(from+int(wanted.Limit), len(s.sizes))
	bytes := 0
	var page []runtime.Object
	for i := from; i < to; i++ {
		object := objectOf(i, s.sizes[i])
		bytes += object.Size()
		page = append(page, object)
	}
	if err := s.send(ctx, bytes); err != nil {
		return err
	}
	if to < len(s.sizes) {
		list.SetContinue(strconv.Itoa(to))
	}
	list.SetResourceVersion("7")
	return meta.SetList(list, page)
}

// send has an answer of so many bytes be read.
func (s *server) send(ctx context.Context, bytes int) error {
	body := &counted{Reader: io.LimitReader(endless{}, int64(bytes))}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1", http.NoBody)
	if err != nil {
		return err
	}
	response, err := Transport(answers{body}).RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	s.read = append(s.read, body.read)
	if err != nil {
		return fmt.Errorf("unexpected error when reading response body: %w", err)
	}
	return nil
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type counted struct {
	io.Reader
	read int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

func (c *counted) Close() error { return nil }

type answers struct{ body io.ReadCloser }

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: a.body}, nil
}

func query() Query {
	return Query{List: Metadata(corev1.SchemeGroupVersion.WithKind("ConfigMap"))}
}

// names lists all objects.
func names(ctx context.Context, s *server, q Query) ([]string, error) {
	var all []string
	err := Lister{Live: s, Gate: NewGate(DefaultBytes)}.Each(ctx, q, func(object client.Object) error {
		all = append(all, object.GetName())
		return nil
	})
	return all, err
}

func wantNames(count int) []string {
	var all []string
	for i := range count {
		all = append(all, fmt.Sprintf("object-%06d", i))
	}
	return all
}

func sizesOf(count, size int) []int {
	sizes := make([]int, count)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}
