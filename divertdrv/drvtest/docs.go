package drvtest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// checkDocs compares the table of rules in Setup.Docs with the suite and with what is skipped: a row "| `rule` | source | … |"
// for each rule, with "yes" or "–" in the column of the driver's name.
func checkDocs(t *testing.T, file, driver string, skipped []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, column := readRows(string(text), driver)
	if column < 0 {
		t.Fatalf("%s: no table | rule | source | … | with a column %q", file, driver)
	}
	for _, r := range Rules() {
		says := map[bool]string{true: "–", false: "yes"}[slices.Contains(skipped, r.Name)]
		row, ok := rows[r.Name]
		switch {
		case !ok:
			t.Errorf("%s has no row | `%s` | %s | …, with %q for %s", file, r.Name, r.Ref, says, driver)
		case row[1] != r.Ref:
			t.Errorf("%s: %s: source %q, want %q", file, r.Name, row[1], r.Ref)
		case row[column] != says:
			t.Errorf("%s: %s: %q for %s, want %q", file, r.Name, row[column], driver, says)
		}
		delete(rows, r.Name)
	}
	for name := range rows {
		t.Errorf("%s has a row for %s, and there is no such rule", file, name)
	}
}

// readRows returns the cells of each rule's row, and which of them is the driver's; -1: none.
func readRows(text, driver string) (rows map[string][]string, column int) {
	rows, column = map[string][]string{}, -1
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "rule":
			column = slices.Index(cells, driver)
		case column >= 0 && strings.HasPrefix(cells[0], "`") && len(cells) > column:
			rows[strings.Trim(cells[0], "`")] = cells
		}
	}
	return rows, column
}
