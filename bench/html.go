package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed report.gohtml
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// pageData is what the page shows.
type pageData struct {
	Report   *Report
	Machine  string
	Load     string
	Build    string
	When     string
	Colours  []int
	Plots    []pagePlot
	Bars     []bars
	Gates    []pageGate
	Sections []section
}

type pagePlot struct {
	Title, About string
	SVG          template.HTML
	Keys         []key
}

// key is a line of a legend.
type key struct {
	Number int
	Name   string
	Ours   bool
}

type pageGate struct {
	GateResult
	Class string // of its colour
}

// section is a scenario's table.
type section struct {
	Name, Op string
	Rows     []sectionRow
}

type sectionRow struct {
	Case, Variant, Cost, Least, Rate, Allocs, Ratio, Why string
	Ours                                                 bool
}

// WriteHTML writes the report as one page that needs no other file and no script: plots, goals, tables; light or dark as the
// reader's system is.
func (r *Report) WriteHTML(w io.Writer) error {
	gates, err := Gates()
	if err != nil {
		return err
	}
	d := pageData{Report: r, Machine: r.Machine.String(), Build: r.Build.String(), When: r.Date.Format("2006-01-02 15:04 MST")}
	if r.Machine.Load > 0 {
		d.Load = fmt.Sprintf("%.1f", r.Machine.Load)
	}
	for i := range linesMax {
		d.Colours = append(d.Colours, i)
	}
	d.draw(r)
	for i := range gates {
		g := gates[i].Judge(r)
		d.Gates = append(d.Gates, pageGate{g, map[GateState]string{GateMet: "met", GateMissed: "missed", GateUnknown: "unknown"}[g.State]})
	}
	for i := range r.Results {
		d.tabulate(&r.Results[i])
	}
	return page.Execute(w, &d)
}

// draw makes the pictures.
func (d *pageData) draw(r *Report) {
	for i := range figures {
		if p, ok := figures[i].plot(r); ok {
			d.add(&p)
		}
	}
	for i := range r.Results {
		if p, ok := latencyPlot(&r.Results[i]); ok {
			d.add(&p)
		}
		if b, ok := barsOf(&r.Results[i]); ok {
			d.Bars = append(d.Bars, b)
		}
	}
}

func (d *pageData) add(p *plot) {
	out := pagePlot{Title: p.title, About: p.about, SVG: p.SVG()}
	for i, l := range p.lines {
		out.Keys = append(out.Keys, key{i, l.name, l.ours})
	}
	d.Plots = append(d.Plots, out)
}

func (d *pageData) tabulate(r *Result) {
	if n := len(d.Sections); n == 0 || d.Sections[n-1].Name != r.Scenario {
		d.Sections = append(d.Sections, section{Name: r.Scenario, Op: r.Op})
	}
	s := &d.Sections[len(d.Sections)-1]
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		row := sectionRow{Variant: o.Variant, Ours: !o.Peer, Why: o.Unable}
		if i == 0 {
			row.Case = strings.ReplaceAll(r.Params.String(), "/", ", ")
		}
		m, ok := o.Measures[ByCPU]
		if !ok {
			m = o.Measures[ByTime]
		}
		row.Cost, row.Least = fmt.Sprintf("%.3g", m.Median), fmt.Sprintf("%.3g", m.Min)
		if m.Median >= 1000 {
			row.Cost, row.Least = short(m.Median), short(m.Min)
		}
		if m, ok := o.Measures[ByRate]; ok {
			row.Rate = short(m.Median)
		}
		if m, ok := o.Measures[ByAllocs]; ok {
			row.Allocs = fmt.Sprintf("%.1f", m.Median)
		}
		if o.Ratio != nil {
			row.Ratio = fmt.Sprintf("%.3g", o.Ratio.Median)
		}
		s.Rows = append(s.Rows, row)
	}
}

// String of a build, for headings.
func (b Build) String() string {
	commit := b.Commit
	if commit == "" {
		commit = "unknown"
	}
	if b.Modified {
		commit += " with changes"
	}
	text := fmt.Sprintf("commit %s, %s, %s/%s", commit, b.Go, b.GOOS, b.GOARCH)
	if b.Experiment != "" {
		text += ", GOEXPERIMENT=" + b.Experiment
	}
	return text
}
