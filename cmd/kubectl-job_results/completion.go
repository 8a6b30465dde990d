package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// completeName offers the names of results objects and of their Jobs.
func (p *plugin) completeName(command *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	return p.complete(command, args, start, false)
}

// completeAwaited offers those, and the names of existing Jobs.
func (p *plugin) completeAwaited(command *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	return p.complete(command, args, start, true)
}

func (p *plugin) complete(command *cobra.Command, args []string, start string, awaited bool) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found, err := c.metadataOf(command.Context(), api.ResultsSelector)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	offered := map[string]bool{}
	for i := range found {
		s := &found[i]
		offered[s.Name] = true
		// A shortened label is not a name.
		if job := s.Labels[api.JobNameLabel]; job != "" && strings.HasPrefix(s.Name, job) {
			offered[job] = true
		}
	}
	if awaited {
		err := c.eachJob(command.Context(), func(job *metav1.PartialObjectMetadata) { offered[job.Name] = true })
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
	}
	return starting(slices.Sorted(maps.Keys(offered)), start), cobra.ShellCompDirectiveNoFileComp
}

func (p *plugin) completeNamespace(command *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	c, err := p.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	namespaces, err := c.core.Namespaces().List(command.Context(), metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	offered := make([]string, 0, len(namespaces.Items))
	for i := range namespaces.Items {
		offered = append(offered, namespaces.Items[i].Name)
	}
	return starting(offered, start), cobra.ShellCompDirectiveNoFileComp
}

func starting(names []string, start string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, start) })
}
