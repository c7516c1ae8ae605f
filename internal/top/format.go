package top

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
)

// short writes a number in at most five characters: 0, 0.5, 12, 999, 1.2k, 45k, 3.4M.
func short(v float64) string {
	switch {
	case v < 0.05:
		return "0"
	case v < 9.95:
		if v == math.Trunc(v) {
			return fmt.Sprintf("%.0f", v)
		}
		return fmt.Sprintf("%.1f", v)
	case v < 999.5:
		return fmt.Sprintf("%.0f", v)
	}
	for _, unit := range "kMGTPE" {
		if v /= 1000; v < 9.95 {
			return fmt.Sprintf("%.1f%c", v, unit)
		} else if v < 999.5 {
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return "∞"
}

// thousands writes 54836 as 54,836.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// brief writes a duration in at most six characters: 800ns, 16µs, 2.1ms, 45s, 12m, 3h05m, 4d.
func brief(d time.Duration) string {
	switch {
	case d == math.MaxInt64:
		return "long"
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return short(float64(d)/1e3) + "µs"
	case d < time.Second:
		return short(float64(d)/1e6) + "ms"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02d", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02d", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02d", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// clean makes what came from elsewhere harmless to a terminal: what cannot be printed becomes a point.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}

// fit makes a text exactly w cells wide: cut with an ellipsis, or filled.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if lipgloss.Width(s) > w {
		s = ansi.Truncate(s, w, "…")
	}
	return s + strings.Repeat(" ", max(0, w-lipgloss.Width(s)))
}

// right is fit with the text at the right end.
func right(s string, w int) string {
	if lipgloss.Width(s) >= w {
		return fit(s, w)
	}
	return strings.Repeat(" ", w-lipgloss.Width(s)) + s
}

// bars are the eight heights of a cell, and none.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// spark draws the newest points, one cell each, w cells wide and rows high, the greatest as high as that allows. Less than the
// least that shows is shown as that, if it is more than nothing.
func spark(points []float64, w, rows int) []string {
	if len(points) > w {
		points = points[len(points)-w:]
	}
	most := 0.0
	for _, p := range points {
		most = max(most, p)
	}
	lines := make([]string, rows)
	for row := range rows {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", max(0, w-len(points))))
		for _, p := range points {
			b.WriteRune(bars[cell(p, most, rows-1-row, rows)])
		}
		lines[row] = b.String()
	}
	return lines
}

// cell is how high a point stands in one of the rows, counted from below.
func cell(p, most float64, row, rows int) int {
	if p <= 0 || most <= 0 || math.IsNaN(p) {
		return 0
	}
	eighths := max(1, int(math.Round(p/most*float64(8*rows))))
	return max(0, min(8, eighths-8*row))
}
