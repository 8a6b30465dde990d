package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report as tables for a terminal.
func (r *Report) WriteText(to io.Writer) error {
	for _, table := range r.tables() {
		fmt.Fprintf(to, "\n%s\n", table.title)
		w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{table.head}, table.rows...) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// table is a table of text.
type table struct {
	title string
	head  []string
	rows  [][]string
}

// markdown returns the table in Markdown.
func (t table) markdown() string {
	var text strings.Builder
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return text.String()
}

// group is what is told together of scenarios.
type group struct {
	title  string
	values []Value
	// has are values of which a scenario has to have one to be in the table.
	has []Value
}

var groups = []group{
	{
		title:  "How fast",
		values: []Value{Jobs, Rate, RateDeviation, Share, Concurrency, Started, BytesRate, Rejected, ResultsBytes, EventBytes},
		has:    []Value{Rate, BytesRate},
	},
	{
		title:  "What a Job costs",
		values: []Value{CPU, CPUAPIServer, CPUEtcd, Requests},
		has:    []Value{Requests},
	},
	{
		title:  "Memory",
		values: []Value{Jobs, RSS, PeakRSS, AddedRSS, Heap, AddedHeap, HeapPerJob, AddedCPU, Writes},
		has:    []Value{PeakRSS, AddedRSS},
	},
}

func (r *Report) tables() []table {
	tables := make([]table, 0, len(groups)+2)
	for _, g := range groups {
		if t := r.table(g); len(t.rows) > 0 {
			tables = append(tables, t)
		}
	}
	for _, t := range []table{r.latencies(), r.requests()} {
		if len(t.rows) > 0 {
			tables = append(tables, t)
		}
	}
	return tables
}

// table returns the group's table, with the columns alone that have values.
func (r *Report) table(g group) table {
	of := slices.DeleteFunc(slices.Clone(r.Scenarios), func(s *Scenario) bool {
		return !slices.ContainsFunc(g.has, func(v Value) bool { return has(s, v) })
	})
	columns := slices.DeleteFunc(slices.Clone(g.values), func(v Value) bool {
		return !slices.ContainsFunc(of, func(s *Scenario) bool { return has(s, v) })
	})
	t := table{title: g.title, head: []string{"scenario"}}
	for _, column := range columns {
		t.head = append(t.head, describe(column).title)
	}
	for _, s := range of {
		row := []string{s.Title}
		for _, column := range columns {
			row = append(row, s.show(column))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func has(s *Scenario, v Value) bool {
	_, found := s.Values[v]
	return found
}

func (s *Scenario) show(v Value) string {
	if !has(s, v) {
		return ""
	}
	return describe(v).show(s.Values[v])
}

func describe(v Value) value {
	i := slices.IndexFunc(values, func(each value) bool { return each.Value == v })
	if i < 0 {
		return value{Value: v, title: string(v), show: number(2)}
	}
	return values[i]
}

func (r *Report) latencies() table {
	t := table{title: "How long", head: []string{"scenario", "until", "mean", "±", "p50", "p90", "p99", "longest"}}
	for _, s := range r.Scenarios {
		for _, name := range slices.Sorted(maps.Keys(s.Latencies)) {
			l := s.Latencies[name]
			t.rows = append(t.rows, []string{
				s.Title, name, seconds(l.Mean), seconds(l.Deviation), seconds(l.P50), seconds(l.P90), seconds(l.P99), seconds(l.Max),
			})
		}
	}
	return t
}

// leastRequests leaves out requests of the start, such as those for a lease.
const leastRequests = 0.01

func (r *Report) requests() table {
	t := table{title: "Requests for a Job", head: []string{"scenario", "request", "for a Job"}}
	for _, s := range r.Scenarios {
		for _, name := range slices.Sorted(maps.Keys(s.Requests)) {
			if n := s.Requests[name]; n >= leastRequests {
				t.rows = append(t.rows, []string{s.Title, name, number(2)(n)})
			}
		}
	}
	return t
}
