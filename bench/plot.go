package bench

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// point and line are what a plot shows; the axes are logarithmic or not as the plot says.
type point struct{ x, y float64 }

type line struct {
	name   string
	points []point
	ours   bool
}

// axis is one side of a plot.
type axis struct {
	label string
	log   bool
	ticks []tick // nil: found by the values
}

type tick struct {
	at   float64
	text string
}

// plot is a picture of lines, drawn by SVG without a script. Its size is for a column of 360 pixels, and it scales.
type plot struct {
	title, about string
	x, y         axis
	lines        []line
}

// The picture, in its own units: whole, and where the lines are.
const (
	plotWidth, plotHeight        = 360.0, 240.0
	plotLeft, plotRight          = 48.0, 350.0
	plotTop, plotBottom          = 10.0, 204.0
	plotLabelBelow, plotTickSize = 34.0, 4.0
)

// linesMax is how many colours there are.
const linesMax = 8

// scale maps values to places.
type scale struct {
	log      bool
	lo, hi   float64 // of values, as log or as they are
	from, to float64 // of places
}

func (s scale) at(v float64) float64 {
	if s.log {
		v = math.Log10(v)
	}
	if s.hi == s.lo {
		return (s.from + s.to) / 2
	}
	return s.from + (v-s.lo)/(s.hi-s.lo)*(s.to-s.from)
}

// span finds the bounds of all points.
func (p *plot) span(of func(point) float64, a axis, from, to float64) scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, q := range l.points {
			lo, hi = min(lo, of(q)), max(hi, of(q))
		}
	}
	if !a.log {
		return scale{false, 0, hi * 1.05, from, to}
	}
	return scale{true, math.Log10(lo), math.Log10(hi), from, to}
}

// SVG draws the plot.
func (p *plot) SVG() template.HTML {
	xs := p.span(func(q point) float64 { return q.x }, p.x, plotLeft+6, plotRight-6)
	ys := p.span(func(q point) float64 { return q.y }, p.y, plotBottom, plotTop+6)
	if p.y.log { // up to the next decades, so that there are ticks
		ys.lo, ys.hi = math.Floor(ys.lo+1e-9), math.Ceil(ys.hi-1e-9)
		if ys.lo == ys.hi {
			ys.hi++
		}
	}
	if !p.x.log {
		xs.lo = p.lowest()
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, plotWidth, plotHeight, template.HTMLEscapeString(p.title))
	p.frame(&b, xs, ys)
	for i := len(p.lines) - 1; i >= 0; i-- { // ours on top
		drawLine(&b, &p.lines[i], i, xs, ys)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // all texts in it were escaped
}

func (p *plot) lowest() float64 {
	lo := math.Inf(1)
	for _, l := range p.lines {
		for _, q := range l.points {
			lo = min(lo, q.x)
		}
	}
	return lo
}

// frame draws axes, ticks and labels.
func (p *plot) frame(b *strings.Builder, xs, ys scale) {
	for _, t := range p.ticksOf(p.y, ys) {
		y := ys.at(t.at)
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, plotLeft, y, plotRight, y)
		fmt.Fprintf(b, `<text class="tick" text-anchor="end" x="%.1f" y="%.1f">%s</text>`, plotLeft-plotTickSize, y+3.5, template.HTMLEscapeString(t.text))
	}
	for _, t := range p.ticksOf(p.x, xs) {
		x := xs.at(t.at)
		fmt.Fprintf(b, `<line class="axis" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, plotBottom, x, plotBottom+plotTickSize)
		fmt.Fprintf(b, `<text class="tick" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, x, plotBottom+16, template.HTMLEscapeString(t.text))
	}
	fmt.Fprintf(b, `<line class="axis" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, plotLeft, plotBottom, plotRight, plotBottom)
	fmt.Fprintf(b, `<text class="label" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, (plotLeft+plotRight)/2, plotBottom+plotLabelBelow-1,
		template.HTMLEscapeString(p.x.label))
}

// ticksOf are given, or the decades of a logarithmic axis, or five steps.
func (p *plot) ticksOf(a axis, s scale) (all []tick) {
	if a.ticks != nil {
		return a.ticks
	}
	if s.log {
		step := math.Max(1, math.Ceil((s.hi-s.lo)/6))
		for e := math.Ceil(s.lo - 1e-9); e <= s.hi+1e-9; e += step {
			all = append(all, tick{math.Pow(10, e), short(math.Pow(10, e))})
		}
		return all
	}
	step := niceStep(s.hi / 5)
	for v := 0.0; v <= s.hi; v += step {
		all = append(all, tick{v, short(v)})
	}
	return all
}

// niceStep is 1, 2 or 5 times a power of ten, not below v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// short writes 1500000 as 1.5M.
func short(v float64) string {
	for _, u := range []struct {
		unit float64
		text string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.unit {
			return fmt.Sprintf("%.3g%s", v/u.unit, u.text)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

func drawLine(b *strings.Builder, l *line, number int, xs, ys scale) {
	class := fmt.Sprintf("s%d", number%linesMax)
	if l.ours {
		class += " ours"
	}
	fmt.Fprintf(b, `<polyline class="%s" points="`, class)
	for _, q := range l.points {
		fmt.Fprintf(b, "%.1f,%.1f ", xs.at(q.x), ys.at(q.y))
	}
	b.WriteString(`"/>`)
	for _, q := range l.points {
		fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="2.5"><title>%s: %s</title></circle>`, class, xs.at(q.x), ys.at(q.y),
			template.HTMLEscapeString(l.name), short(q.y))
	}
}
