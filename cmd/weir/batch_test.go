package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// vectorLines returns the lines of a file of the filter's vectors.
func vectorLines(t testing.TB, name string) []string {
	t.Helper()
	f, err := os.Open("../../divertdrv/filter/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, uninitialised) })
}

// uninitialised is a text for which WinDivert gives another position in each file: it reads it from memory never written.
const uninitialised = "\tip.TTL != 65b] >= 0x12345\t"

// split takes the last column off each line.
func split(lines []string) (input string, want []string) {
	var b strings.Builder
	for _, l := range lines {
		at := strings.LastIndexByte(l, '\t')
		b.WriteString(l[:at] + "\n")
		want = append(want, l[at+1:])
	}
	return b.String(), want
}

// What WinDivert 2.2 itself answers.
func TestEvalBatchVectors(t *testing.T) {
	input, want := split(vectorLines(t, "eval.tsv.gz"))
	o := weir(t, input, "filter", "eval", "--batch", "--compat22")
	if o.status != exitDone || o.err != "" {
		t.Fatalf("status %d: %s", o.status, o.err)
	}
	compareLines(t, o.out, want)
}

func TestCompileBatchVectors(t *testing.T) {
	input, want := split(vectorLines(t, "compile.tsv.gz"))
	compareLines(t, weir(t, input, "filter", "compile", "--batch", "--compat22", "--object").out, want)
	for i, w := range want {
		if !strings.HasPrefix(w, "error") {
			want[i] = "ok"
		}
	}
	compareLines(t, weir(t, input, "filter", "compile", "--batch", "--compat22").out, want)
}

func compareLines(t *testing.T, out string, want []string) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d lines", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("line %d: got %s, want %s", i+1, got[i], want[i])
		}
	}
}

func BenchmarkEvalBatch(b *testing.B) {
	lines := vectorLines(b, "eval.tsv.gz")
	input, _ := split(lines)
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		e := &lineEvaluator{filters: programs{language: languageOf(true)}}
		if err := answerLines(strings.NewReader(input), io.Discard, io.Discard, e.answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/line")
}

// Whatever a line is, it gets one answer, and the lines around it theirs.
func TestBatchMalformed(t *testing.T) {
	address := strings.Repeat("00", 80)
	const packet = "4500001400000000400100007f0000017f000001"
	long := strings.Repeat(" ", batchLineMax)
	for name, c := range map[string]struct{ line, want, says string }{
		"good":            {"0\tip\t" + address + "\t" + packet, "1", ""},
		"by name":         {"NETWORK\tipv6\t" + address + "\t" + packet, "0", ""},
		"forward":         {"network_forward\tip\t" + address + "\t" + packet, "1", ""},
		"tab in filter":   {"0\tip and\tip\t" + address + "\t" + packet, "1", ""},
		"CRLF":            {"0\tip\t" + address + "\t" + packet + "\r", "1", ""},
		"no packet":       {"2\ttrue\t" + address + "\t", "1", ""},
		"wrong filter":    {"0\tip =\t" + address + "\t" + packet, "error parse 4", ""},
		"wrong layer":     {"0\tprocessId\t" + address + "\t" + packet, "error bad-token-for-layer 0", ""},
		"empty":           {"", answerBad, "want four columns"},
		"three columns":   {"0\tip\t" + address, answerBad, "no tab between layer and filter"},
		"five columns":    {"0\tip\t" + address + "\t" + packet + "\t1", answerBad, "address"},
		"unknown layer":   {"9\tip\t" + address + "\t" + packet, answerBad, "unknown layer"},
		"short address":   {"0\tip\t00\t" + packet, answerBad, "want 80"},
		"odd packet":      {"0\tip\t" + address + "\t450", answerBad, "packet"},
		"no hex":          {"0\tip\t" + address + "\tx" + packet, answerBad, "packet"},
		"long":            {"0\tip" + long[:1<<20] + "\t" + address + "\t" + packet, "1", ""},
		"too long":        {"0\tip" + long + "\t" + address + "\t" + packet, answerBad, "longer than"},
		"not text at all": {"\xff\x00\t\x01\t\t", answerBad, "unknown layer"},
	} {
		t.Run(name, func(t *testing.T) {
			good := "0\tip\t" + address + "\t" + packet
			o := weir(t, good+"\n"+c.line+"\n"+good, "filter", "eval", "--batch")
			compareLines(t, o.out, []string{"1", c.want, "1"})
			if status := map[bool]int{true: exitDone, false: exitFailed}[c.says == ""]; o.status != status {
				t.Errorf("status %d, want %d", o.status, status)
			}
			if c.says != "" && !strings.Contains(o.err, "line 2: "+c.says) && !strings.Contains(o.err, c.says) {
				t.Errorf("stderr %q, want %q", o.err, c.says)
			}
		})
	}
}

// A batch of nothing but faults says so at length, but not without end.
func TestBatchComplaintsAreBounded(t *testing.T) {
	o := weir(t, strings.Repeat("?\n", 5000), "filter", "compile", "--batch")
	if n := strings.Count(o.out, answerBad+"\n"); n != 5000 || o.status != exitFailed {
		t.Fatalf("%d answers, status %d", n, o.status)
	}
	if n := strings.Count(o.err, "\n"); n != batchComplain+1 || !strings.Contains(o.err, "5000 of 5000 lines are malformed") {
		t.Errorf("stderr has %d lines: %s", n, o.err)
	}
}

// The filters of a batch are remembered, but not all of a batch without end.
func TestProgramsAreBounded(t *testing.T) {
	var input strings.Builder
	for i := range 3 * programsMax {
		input.WriteString("0\tlength == " + strings.Repeat("1", 1+i%3) + strings.Repeat(" ", i) + "\n")
	}
	p := &programs{}
	err := answerLines(strings.NewReader(input.String()), io.Discard, io.Discard, func(line []byte) (string, error) {
		c, err := p.get(line)
		if err != nil || c.err != nil {
			t.Fatal(err, c.err)
		}
		return "ok", nil
	})
	if err != nil || len(p.known) > programsMax {
		t.Fatalf("%v, %d programs", err, len(p.known))
	}
}

func FuzzBatch(f *testing.F) {
	for _, l := range vectorLines(f, "eval.tsv.gz")[:100] {
		f.Add([]byte(l[:strings.LastIndexByte(l, '\t')]), false)
	}
	f.Add([]byte("0\tip\t\t\n\n\t\t\t\t\r\n"), true)
	f.Fuzz(func(t *testing.T, input []byte, compat22 bool) {
		e := &lineEvaluator{filters: programs{language: languageOf(compat22)}}
		var out bytes.Buffer
		_ = answerLines(bytes.NewReader(input), &out, io.Discard, e.answer)
		lines := bytes.Count(input, []byte("\n"))
		if len(input) > 0 && input[len(input)-1] != '\n' {
			lines++
		}
		if n := bytes.Count(out.Bytes(), []byte("\n")); n != lines {
			t.Fatalf("%d answers to %d lines", n, lines)
		}
	})
}
