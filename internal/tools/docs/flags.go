package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/options"
)

// flagGroup is a group of flags as --help shows it.
type flagGroup struct {
	Name  string
	Flags []flagRow
}

// flagRow is a row of the table of a group.
type flagRow struct{ Name, Default, Usage string }

func flagGroups() []flagGroup {
	opts := options.New()
	// What the machine's environment says is nobody's default.
	opts.Manager.Namespace = api.ManagerNamespace
	sets := opts.Flags()
	groups := make([]flagGroup, 0, len(sets.Order))
	for _, name := range sets.Order {
		group := flagGroup{Name: name}
		sets.FlagSets[name].VisitAll(func(f *pflag.Flag) { group.Flags = append(group.Flags, rowOf(f)) })
		groups = append(groups, group)
	}
	return groups
}

func rowOf(f *pflag.Flag) flagRow {
	_, usage := pflag.UnquoteUsage(f)
	row := flagRow{Name: "--" + f.Name, Usage: cell(usage)}
	if len(f.Name) == 1 {
		row.Name = "-" + f.Name + ", " + row.Name
	}
	if f.DefValue != "" && f.DefValue != "[]" {
		row.Default = "`" + f.DefValue + "`"
	}
	return row
}

// cell returns text for a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
