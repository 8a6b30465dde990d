package main

// row is a row of the dashboard.
type row struct {
	title string
	// stats is true for single values; else charts are over time.
	stats bool
	// across is how many charts stand side by side at most.
	across int
	charts []chart
}

type chart struct {
	// title says what is shown where no row is near, and note how to read it.
	title, note string
	// unit is one of Grafana's; "" is a plain number.
	unit    string
	queries []query
	// colors are those of lines that mean good or bad, by legend. Who gives some
	// gives all of the chart, or another line may happen to look the same.
	colors map[string]string
	// badFrom is from where on a value is bad, goodFrom until where: where an alert
	// fires. A single value is red there, and a line over time marks it.
	badFrom, goodFrom *float64
	// tooMuch is from where on a single value that has to reach goodFrom is too much.
	tooMuch *float64
	// least is the least that a single value with goodFrom can be.
	least float64
	// whole has values without decimals: Prometheus guesses parts of what it counts.
	whole bool
	// neither is true for a single value that is neither good nor bad.
	neither bool
	// yes is true for what is 1 where it holds and 0 where it does not.
	yes bool
	// logarithm is the base of the axis; 0: a linear one from 0 on.
	logarithm int
	// table has the legend be a table, with this of each line; "": a list.
	table string
	// limit is the legend of the line that the others are to stay below.
	limit string
}

type query struct{ expr, legend string }

// The units of what is counted in minutes and days: Grafana's own make hours and
// weeks of them.
const (
	perMinute = "suffix:/min"
	inDays    = "suffix:days"
)

// The colors of lines that mean something.
const (
	good, bad, warning, harmless = "green", "red", "orange", "blue"
)
