package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// grid is rows of cells that are printed in columns. A column whose heading starts with ">" is aligned to the right.
type grid struct {
	heads []string
	rows  [][]string
}

func newGrid(heads ...string) *grid { return &grid{heads: heads} }

// add adds a row; numbers are written with thousands apart.
func (g *grid) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case uint64:
			row[i] = thousands(v)
		default:
			row[i] = fmt.Sprint(v)
		}
	}
	g.rows = append(g.rows, row)
}

// section writes the grid and an empty line, and nothing at all where it has no rows.
func (g *grid) section(w io.Writer) {
	if len(g.rows) > 0 {
		g.print(w)
		fmt.Fprintln(w)
	}
}

// print writes headings and rows, indented.
func (g *grid) print(w io.Writer) {
	widths := make([]int, len(g.heads))
	heads := make([]string, len(g.heads))
	for i, h := range g.heads {
		heads[i] = strings.TrimPrefix(h, ">")
	}
	for _, row := range append([][]string{heads}, g.rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range append([][]string{heads}, g.rows...) {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if strings.HasPrefix(g.heads[i], ">") {
				line.WriteString("  " + pad + c)
			} else {
				line.WriteString("  " + c + pad)
			}
		}
		if text := strings.TrimRight(line.String(), " "); text != "" {
			fmt.Fprintln(w, text)
		}
	}
}

// thousands writes 54836 as 54,836.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
