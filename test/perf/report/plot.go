package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/job-handler/job-handler/test/perf/stats"
)

const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 9 * vg.Centimeter
	barWidth   = 14
)

// Plots are the names of the files that WritePlots writes.
var Plots = []string{"rates.svg", "drain.svg", "latency.svg"}

// WritePlots writes the plots of what the report has as SVG into a folder, which it
// makes if need be.
func (r *Report) WritePlots(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder of plots: %w", err)
	}
	for name, draw := range map[string]func() (*plot.Plot, error){
		Plots[0]: r.plotRates, Plots[1]: r.plotDrains, Plots[2]: r.plotLatencies,
	} {
		drawn, err := draw()
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		if drawn == nil {
			continue
		}
		if err := drawn.Save(plotWidth, plotHeight, filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// plotRates is one bar for each scenario that has a rate; nil: there is none.
func (r *Report) plotRates() (*plot.Plot, error) {
	var rates plotter.Values
	var names []string
	for _, s := range slices.Backward(r.Scenarios) {
		if has(s, Rate) {
			rates = append(rates, s.Values[Rate])
			names = append(names, s.Name)
		}
	}
	if len(rates) == 0 {
		return nil, nil //nolint:nilnil // nothing to draw
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text = "Jobs handled a second", "Jobs/s"
	bars, err := plotter.NewBarChart(rates, barWidth)
	if err != nil {
		return nil, err
	}
	bars.Horizontal, bars.Color = true, plotutil.Color(2)
	p.Add(bars)
	p.NominalY(names...)
	p.X.Min = 0
	return p, nil
}

// plotDrains is the Jobs a second over time, of each scenario that has that.
func (r *Report) plotDrains() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "Finished Jobs wait", "seconds from the first Job stored", "Jobs/s"
	p.Y.Min, p.Legend.Top = 0, true
	drawn := 0
	for _, s := range r.Scenarios {
		if len(s.PerSecond) < 2 {
			continue
		}
		points := make(plotter.XYs, len(s.PerSecond))
		for i, jobs := range s.PerSecond {
			points[i] = plotter.XY{X: float64(i + 1), Y: jobs}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Dashes = plotutil.Color(drawn), plotutil.Dashes(drawn)
		p.Add(line)
		p.Legend.Add(s.Name, line)
		drawn++
	}
	if drawn == 0 {
		return nil, nil //nolint:nilnil // nothing to draw
	}
	return p, nil
}

// plotLatencies is p50, p90 and p99 from a Job's end to its deletion, of each
// scenario that has that.
func (r *Report) plotLatencies() (*plot.Plot, error) {
	var names []string
	values := make([]plotter.Values, 3)
	for _, s := range r.Scenarios {
		if l, found := s.Latencies["deleted"]; found {
			names = append(names, s.Name)
			for i, v := range percentiles(l) {
				values[i] = append(values[i], 1000*v)
			}
		}
	}
	if len(names) == 0 {
		return nil, nil //nolint:nilnil // nothing to draw
	}
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = "From a Job's end to its deletion", "milliseconds"
	p.Y.Min, p.Legend.Top, p.Legend.Left = 0, true, true
	for i, percentile := range []string{"p50", "p90", "p99"} {
		bars, err := plotter.NewBarChart(values[i], barWidth)
		if err != nil {
			return nil, err
		}
		bars.Offset, bars.Color = vg.Length(i-1)*barWidth, plotutil.Color(i)
		p.Add(bars)
		p.Legend.Add(percentile, bars)
	}
	p.NominalX(names...)
	return p, nil
}

func percentiles(l stats.Summary) []float64 { return []float64{l.P50, l.P90, l.P99} }
