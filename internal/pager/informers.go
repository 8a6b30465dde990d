package pager

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewInformer makes an informer, as cache.Options of controller-runtime has it.
type NewInformer func(toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer

// Informers returns what makes informers whose lists are paged by bytes, and pruned
// page by page by the transform of their kind. It matters where the API server does
// not stream the objects that are there at the start, as it does by default since
// Kubernetes 1.34: without it an informer decodes all of them before it prunes the
// first. Objects that are streamed are pruned one by one.
func Informers(gate *Gate, transformOf func(runtime.Object) toolscache.TransformFunc) NewInformer {
	return func(lw toolscache.ListerWatcher, kind runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		if whole, is := lw.(*toolscache.ListWatch); is && whole.ListWithContextFunc != nil && whole.WatchFuncWithContext != nil {
			lister := informerLister{list: whole.ListWithContextFunc, gate: gate, transform: transformOf(kind)}
			lw = &toolscache.ListWatch{
				ListWithContextFunc: lister.all, WatchFuncWithContext: whole.WatchFuncWithContext, DisableChunking: whole.DisableChunking,
			}
		}
		return toolscache.NewSharedIndexInformer(lw, kind, resync, indexers)
	}
}

type informerLister struct {
	list      toolscache.ListWithContextFunc
	gate      *Gate
	transform toolscache.TransformFunc
}

// all returns all objects, pruned, as of one state that is no older than the one
// that is wanted.
func (l informerLister) all(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	reader := &informerReader{list: l.list, options: options}
	whole := &internalversion.List{}
	query := Query{List: &pageList{}, Consistent: true, Prune: func(object client.Object) {
		if l.transform != nil && reader.failed == nil {
			_, reader.failed = l.transform(object)
		}
	}}
	err := Lister{Live: reader, Gate: l.gate}.Each(ctx, query, func(object client.Object) error {
		whole.Items = append(whole.Items, object)
		return reader.failed
	})
	if err != nil {
		return nil, err
	}
	whole.ResourceVersion = reader.resourceVersion
	return whole, nil
}

// informerReader is the client.Reader of an informer's list function.
type informerReader struct {
	client.Reader
	list    toolscache.ListWithContextFunc
	options metav1.ListOptions
	// resourceVersion is that of the first page, and so of all.
	resourceVersion string
	failed          error
}

// List implements client.Reader.
func (r *informerReader) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(options)
	asked := r.options
	// The most recent state: of others the API server does not return pages.
	asked.ResourceVersion, asked.ResourceVersionMatch = "", ""
	asked.Limit, asked.Continue = wanted.Limit, wanted.Continue
	page, err := r.list(ctx, asked)
	if err != nil {
		return err
	}
	list, err := meta.ListAccessor(page)
	if err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	if r.resourceVersion == "" {
		r.resourceVersion = list.GetResourceVersion()
	}
	pageOf, is := into.(*pageList)
	if !is {
		return nil
	}
	pageOf.SetContinue(list.GetContinue())
	// Copies: a slice would stay in memory for as long as one of its objects does.
	if pageOf.Items, err = meta.ExtractListWithAlloc(page); err != nil {
		return fmt.Errorf("reading the items of a list: %w", err)
	}
	return nil
}

// pageList is a list of objects of any kind.
type pageList struct{ internalversion.List }

// DeepCopyObject implements runtime.Object.
func (p *pageList) DeepCopyObject() runtime.Object {
	return &pageList{List: *p.DeepCopy()}
}
