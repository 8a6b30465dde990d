// Package pager lists live objects whose size users control, in pages of bounded
// bytes. It asks for a few objects first, and then for as many as the last page
// suggests. It gives up an answer that is larger than its page may be while reading
// it (see Transport), and asks again for smaller pages. All lists of the process
// share a Gate. The package decides nothing about the objects.
package pager

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// The first page has so many objects, unless more are expected, and no page has
	// more than mostObjects. A page has growth times as many as the last one at most.
	firstObjects = 25
	mostObjects  = 500
	growth       = 4

	// A page aims at pageBytes of answer, and may have mostPageBytes: an object that
	// fits into etcd has 1.5 MiB. Decoded, hostile objects take some 8 times that,
	// and twice as much for a moment.
	pageBytes     = 1 << 20
	mostPageBytes = 2 << 20
	// leastPageBytes is what a page of few small objects may have.
	leastPageBytes = 256 << 10
	// A single object that has more than that, since etcd was given a higher limit,
	// may have mostObjectBytes.
	mostObjectBytes = 8 << 20

	// MetadataBytes is the usual size of an object's metadata, with room to spare.
	MetadataBytes = 4 << 10
)

// Lister lists live objects.
type Lister struct {
	// Live reads from the API server.
	Live client.Reader
	// Gate is shared by all lists of the process; nil: there is no bound for all of
	// them.
	Gate *Gate
}

// Query says what to list.
type Query struct {
	// List is an empty list of the kind that is listed.
	List client.ObjectList
	// Options select the objects. Limit and Continue are the Lister's.
	Options client.ListOptions
	// Expect is how many objects there are, as far as that is known. It decides how
	// large the first page is.
	Expect int
	// ObjectBytes is the usual size of an object; 0 means MetadataBytes.
	ObjectBytes int
	// Prune drops what is not used from an object. It is called for all objects of a
	// page before the first is visited; of managedFields the names of the managers are
	// left by then.
	Prune func(client.Object)
	// Consistent has a list fail that takes so long that the API server has forgotten
	// the state in which it began. Otherwise it goes on with the objects that come
	// next in a newer state: each that exists all the time is visited once.
	Consistent bool
}

// Metadata returns an empty list of the metadata of objects of a kind.
func Metadata(kind schema.GroupVersionKind) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return list
}

// Each calls visit for each object, until it returns an error, which is returned as
// it is. The Gate is free again when visit is called, so that it may take its time.
func (l Lister) Each(ctx context.Context, query Query, visit func(client.Object) error) error {
	pages := newPages(query)
	for {
		list, err := l.page(ctx, pages)
		if err != nil {
			if pages.goOn(err) {
				continue
			}
			return err
		}
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object, is := item.(client.Object)
			if !is {
				return fmt.Errorf("listing objects: got a %T", item)
			}
			return visit(object)
		})
		if err != nil {
			return err
		}
		if pages.options.Continue = list.GetContinue(); pages.options.Continue == "" {
			return nil
		}
	}
}

// page reads the next page and prunes it.
func (l Lister) page(ctx context.Context, pages *pages) (client.ObjectList, error) {
	leave, err := l.Gate.enter(ctx, pages.options.Namespace, pages.allowed)
	if err != nil {
		return nil, err
	}
	defer leave()
	list, isList := pages.List.DeepCopyObject().(client.ObjectList)
	if !isList {
		return nil, fmt.Errorf("listing objects: %T is no list", pages.List)
	}
	// What is given up is no error of the connection, as the client's log has it.
	quiet := klog.NewContext(ctx, logr.Discard())
	within, answer := withAllowance(quiet, pages.allowed)
	if err := l.Live.List(within, list, &pages.options); err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	objects, bytes := 0, 0
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, is := item.(client.Object)
		if !is {
			return nil
		}
		objects++
		bytes += sizeOf(object)
		object.SetManagedFields(namesOf(object.GetManagedFields()))
		if pages.Prune != nil {
			pages.Prune(object)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading a page of objects: %w", err)
	}
	pages.took(objects, max(bytes, answer.bytes()))
	return list, nil
}

// namesOf returns the entries with the names of the managers and nothing else.
func namesOf(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	for i := range entries {
		entries[i] = metav1.ManagedFieldsEntry{Manager: entries[i].Manager}
	}
	return entries
}

// sizeOf returns how many bytes an answer has for an object; all kinds of
// Kubernetes know that.
func sizeOf(object client.Object) int {
	if sized, is := object.(interface{ Size() int }); is {
		return sized.Size()
	}
	return MetadataBytes
}

// pages decides how much is asked for next.
type pages struct {
	Query
	options client.ListOptions
	// each is what an object seems to take, allowed what the next page may.
	each, allowed int
}

func newPages(query Query) *pages {
	p := &pages{Query: query, options: query.Options, each: query.ObjectBytes}
	if p.each == 0 {
		p.each = MetadataBytes
	}
	p.ask(min(max(query.Expect, firstObjects), pageBytes/p.each))
	return p
}

// ask has the next page have so many objects.
func (p *pages) ask(objects int) {
	objects = min(max(objects, 1), mostObjects)
	p.options.Limit = int64(objects)
	p.allowed = min(max(2*objects*p.each, leastPageBytes), mostPageBytes)
}

// took notes what the last page had.
func (p *pages) took(objects, bytes int) {
	if objects > 0 {
		p.each = max(bytes/objects, 1)
	}
	p.ask(min(pageBytes/p.each, growth*int(p.options.Limit)))
}

// goOn reports whether the list goes on after an error: with smaller pages, or in a
// newer state.
func (p *pages) goOn(err error) bool {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errTooLarge):
		return p.smaller()
	case p.Consistent || !apierrors.IsResourceExpired(err) || !errors.As(err, &status):
		return false
	default:
		next := status.Status().Continue
		gone := next == "" || next == p.options.Continue
		p.options.Continue = next
		return !gone
	}
}

// smaller has the page be asked for again that was too large: with all that a page
// may have, and then with fewer objects. It reports false where that is impossible.
func (p *pages) smaller() bool {
	objects := int(p.options.Limit)
	p.each = max(p.each, p.allowed/objects)
	switch {
	case p.allowed < mostPageBytes:
		p.allowed = mostPageBytes
	case objects > 1:
		p.ask(objects / growth)
		p.allowed = mostPageBytes
	case p.allowed < mostObjectBytes:
		p.allowed = mostObjectBytes
	default:
		return false
	}
	return true
}
