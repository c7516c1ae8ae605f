package filter

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

var update = flag.Bool("update", false, "write the tables of docs/filter.md anew")

const manual = "../../docs/filter.md"

// fence is a fenced block of Markdown: its info string and its text.
var fence = regexp.MustCompile("(?ms)^```([a-z ]*)\n(.*?)^```$")

// marked is a table that a comment names.
var marked = regexp.MustCompile(`(?m)^<!-- (\w+) -->\n((?:\|.*\n)+)`)

func readManual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// TestManualFilters: every filter in a block of the manual is one, for the layer that the block names, and what it says is meant.
func TestManualFilters(t *testing.T) {
	n := 0
	for _, block := range fence.FindAllStringSubmatch(readManual(t), -1) {
		kind, name, _ := strings.Cut(block[1], " ")
		if kind != "filter" {
			continue
		}
		layer := addr.Network
		if name != "" {
			var err error
			if layer, err = addr.ParseLayer(name); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(block[2]) {
			src, _, _ := strings.Cut(strings.TrimSpace(line), "   #")
			p, err := Parse(src, layer)
			if err != nil {
				t.Error(err)
				continue
			}
			if l := p.Lint(); len(l) > 0 {
				t.Errorf("%s: %v", src, l)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d filters", n)
	}
}

// TestManualTables: what the tables of the manual say is what the package does. -update writes them anew.
func TestManualTables(t *testing.T) {
	seen := map[string]int{}
	text := readManual(t)
	got := marked.ReplaceAllStringFunc(text, func(table string) string {
		m := marked.FindStringSubmatch(table)
		lines := strings.Split(strings.TrimSuffix(m[2], "\n"), "\n")
		row := manualRows[m[1]]
		seen[m[1]]++
		out := fmt.Sprintf("<!-- %s -->\n", m[1])
		switch {
		case m[1] == "fields":
			return out + fieldTable()
		case m[1] == "macros":
			return out + macroTable()
		case row == nil:
			t.Errorf("a table of kind %q", m[1])
			return table
		}
		out += lines[0] + "\n" + lines[1] + "\n"
		for _, line := range lines[2:] {
			out += writeRow(row(t, readRow(line))...)
		}
		return out
	})
	got = fence.ReplaceAllStringFunc(got, func(block string) string { return manualJSON(t, block) })
	if *update {
		if err := os.WriteFile(manual, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != text {
		was := strings.Split(text, "\n")
		for i, line := range strings.Split(got, "\n") {
			if i >= len(was) || was[i] != line {
				t.Errorf("line %d of %s should be\n%s", i+1, manual, line)
			}
		}
	}
	for kind := range manualRows {
		if seen[kind] == 0 {
			t.Errorf("no table of kind %s", kind)
		}
	}
}

// readRow and writeRow split and join the cells of a row, in which a bar is written \|.
func readRow(line string) []string {
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
	}
	return cells
}

func writeRow(cells ...string) string {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func quote(s string) string { return "`" + s + "`" }

func plain(s string) string { return strings.Trim(s, "`") }

// manualRows computes the row of a table from its first cells.
var manualRows = map[string]func(t *testing.T, cells []string) []string{
	"answers":   answersRow,
	"compat":    compatRow,
	"wrong":     wrongRow,
	"lints":     lintRow,
	"canonical": canonicalRow,
	"tcpdump":   filterRow,
	"wireshark": filterRow,
	"nft":       filterRow,
	"numbers":   numberRow,
	"indices":   indexRow,
}

// manualPackets are those of the tables.
func manualPackets() map[string]View {
	a, tcp, _ := hotPacket()
	udp := slices.Clone(tcp)
	udp[9] = wire.ProtoUDP
	v6 := append([]byte{0x60, 1, 0x23, 0x45, 0, 24, 6, 64}, make([]byte, 32)...)
	v6[8], v6[24], v6[23], v6[39] = 0xfd, 0xfd, 1, 2
	v6 = append(v6, tcp[20:]...)
	flow := addr.Address{}
	flow.SetLayer(addr.LayerFlow, addr.EventEstablished)
	return map[string]View{
		"IPv4 TCP": {Addr: &a, Data: tcp}, "IPv4 UDP": {Addr: &a, Data: udp}, "IPv6 TCP": {Addr: &a, Data: v6}, "IPv4 flow": {Addr: &flow},
	}
}

func manualAnswer(t *testing.T, src, packet string, opts ...Option) string {
	t.Helper()
	v, ok := manualPackets()[packet]
	if !ok {
		t.Fatalf("no packet %q", packet)
	}
	p, err := Parse(src, v.Addr.Layer(), opts...)
	switch {
	case err != nil:
		return "refused"
	case p.Match(v.Addr, v.Data, nil):
		return "yes"
	}
	return "no"
}

func answersRow(t *testing.T, cells []string) []string {
	out := []string{cells[0]}
	for _, packet := range []string{"IPv4 TCP", "IPv4 UDP", "IPv6 TCP"} {
		out = append(out, manualAnswer(t, plain(cells[0]), packet))
	}
	return out
}

func compatRow(t *testing.T, cells []string) []string {
	src, packet := plain(cells[0]), cells[1]
	return []string{cells[0], packet, manualAnswer(t, src, packet), manualAnswer(t, src, packet, Compat22()), cells[4]}
}

func wrongRow(t *testing.T, cells []string) []string {
	layer, err := addr.ParseLayer(cells[1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(plain(cells[0]), layer)
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s is right", cells[0])
		return cells
	}
	return []string{cells[0], cells[1], fmt.Sprintf("%s at %d", e.Code, e.Pos), e.Msg}
}

func lintRow(t *testing.T, cells []string) []string {
	found := mustParse(t, plain(cells[0]), addr.Network).Lint()
	if len(found) == 0 {
		t.Errorf("%s: nothing was found", cells[0])
		return cells
	}
	last := found[len(found)-1]
	said := last.Msg
	if last.Remedy != "" {
		said += "; " + last.Remedy
	}
	var kinds []string
	for _, l := range found {
		kinds = append(kinds, quote(string(l.Kind)))
	}
	return []string{cells[0], strings.Join(kinds, ", "), said}
}

func canonicalRow(t *testing.T, cells []string) []string {
	text, err := mustParse(t, plain(cells[0]), addr.Network).Format()
	if err != nil {
		t.Error(err)
	}
	return []string{cells[0], quote(text)}
}

// filterRow is a row whose second cell is a filter that is meant.
func filterRow(t *testing.T, cells []string) []string {
	if l := mustParse(t, plain(cells[1]), addr.Network).Lint(); len(l) > 0 {
		t.Errorf("%s: %v", cells[1], l)
	}
	return cells
}

func numberRow(t *testing.T, cells []string) []string {
	for _, span := range inline.FindAllStringSubmatch(cells[1], -1) {
		mustParse(t, "ipv6.SrcAddr == "+span[1], addr.Network)
	}
	return cells
}

func indexRow(t *testing.T, cells []string) []string {
	c := mustParse(t, plain(cells[0]), addr.Network).tests[0].comparison
	bytes := fmt.Sprint(c.index)
	if last := c.index + c.field.size() - 1; last != c.index {
		bytes += " to " + fmt.Sprint(last)
	}
	return []string{cells[0], bytes}
}

var inline = regexp.MustCompile("`([^`]+)`")

// manualJSON computes the blocks of the manual that show what --json prints.
func manualJSON(t *testing.T, block string) string {
	var shown any
	info := fence.FindStringSubmatch(block)[1]
	switch info {
	case "json explain":
		v := manualPackets()["IPv4 TCP"]
		shown = mustParse(t, "udp or tcp.Fin", addr.Network).Explain(v.Addr, v.Data, nil)
	case "json lint":
		src := "tcp and udp"
		shown = struct {
			Layer  string `json:"layer"`
			Filter string `json:"filter"`
			Lints  []Lint `json:"lints"`
		}{addr.Network.String(), src, mustParse(t, src, addr.Network).Lint()}
	default:
		return block
	}
	b, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("```%s\n%s\n```", info, b)
}

// noFilters is what stands in the manual as code, looks like a filter, and is none or none of this language.
var noFilters = []string{
	"not (a and b)", "(not a or not b)", "(a and b ? false : true)", "(a ? b : c)", "tcp udp", "packet16[1 b]", "ip.addr != x",
	"tcp dport != 22", "ct state", "src net",
}

// TestManualInline: what stands in sentences and looks like a filter is one, or is known to be none.
func TestManualInline(t *testing.T) {
	text := fence.ReplaceAllString(marked.ReplaceAllString(readManual(t), ""), "")
	n := 0
	for _, span := range inline.FindAllStringSubmatch(text, -1) {
		src := strings.ReplaceAll(span[1], `\|`, "|")
		word := !strings.ContainsAny(src, " =<>[(")
		if word || strings.HasPrefix(src, "weir ") || strings.HasPrefix(src, "= ") || slices.Contains(noFilters, src) {
			continue
		}
		if strings.HasPrefix(src, "[") || strings.HasSuffix(src, "[…]") || strings.HasSuffix(src, "[i]") || strings.Trim(src, "=!<> ") == "" {
			continue
		}
		_, err := Parse(src, addr.Network)
		if err != nil && !strings.HasPrefix(src, "== ") && !strings.HasPrefix(src, "!= ") {
			t.Errorf("%v", err)
		}
		n++
	}
	if n < 8 {
		t.Errorf("only %d", n)
	}
}

func fieldTable() string {
	out := "| field | N | M | F | S | R | values | meaning |\n|---|---|---|---|---|---|---|---|\n"
	done := map[string]bool{}
	for l := range addr.Layer(addr.Layers) {
		for _, f := range Fields(l) {
			if done[f.Name] {
				continue
			}
			done[f.Name] = true
			name, values := f.Name, f.Min+" to "+f.Max
			if f.Indexable {
				name += "[i]"
			}
			if f.Min == f.Max {
				values = f.Min
			}
			cells := append([]string{quote(name)}, layerMarks(f.Layers)...)
			out += writeRow(append(cells, values, f.Doc)...)
		}
	}
	return out
}

func layerMarks(layers []addr.Layer) []string {
	marks := make([]string, addr.Layers)
	for l := range marks {
		if slices.Contains(layers, addr.Layer(l)) {
			marks[l] = "x"
		}
	}
	return marks
}

func macroTable() string {
	out := "| macro | value | N | M | F | S | R | meaning |\n|---|---|---|---|---|---|---|---|\n"
	for i := range macros {
		m := &macros[i]
		cells := append([]string{quote(m.name), fmt.Sprint(m.value)}, layerMarks(m.layers.list())...)
		out += writeRow(append(cells, m.doc)...)
	}
	return out
}
