package bench_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/bench"
)

// measured is a small report with everything in it: sizes, latencies, a peer that cannot run.
func measured(t *testing.T) *bench.Report {
	t.Helper()
	s := scenario(spinner("weir", 1, nil), bench.Variant{Name: "a <peer>", Peer: true, Start: spinner("", 3, nil).Start}, bench.Variant{Name: "absent", Peer: true, Start: unable})
	s.Name = "checksum"
	r, err := bench.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	l := bench.NewLatency()
	for i := range 10_000 {
		l.Record(time.Duration(i) * time.Microsecond)
	}
	r.Results[0].Outcomes[0].Runs[0].Latency = l
	r.Unable = append(r.Unable, bench.NotRun{Scenario: "windivert", Why: "no Windows"})
	return &r
}

func TestReportRoundTrip(t *testing.T) {
	r := measured(t)
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	first := b.String()
	back, err := bench.ReadReport(&b)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := back.WriteJSON(&again); err != nil || again.String() != first {
		t.Errorf("what was read is not what was written (%v)", err)
	}
	for text, want := range map[string]string{"": "not a report", "{}": "it has no weir_bench", `{"weir_bench": 99}`: "a report of version 99", "[1]": "not a report"} {
		if _, err := bench.ReadReport(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every line is one that benchstat's format allows.
func TestBenchfmt(t *testing.T) {
	var b bytes.Buffer
	if err := measured(t).WriteBenchfmt(&b); err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`^[a-z][^ A-Z]*: `)
	result := regexp.MustCompile(`^BenchmarkChecksum/size=\d+/variant=\S+ \d+( [-+.e\d]+ \S+)+$`)
	results := 0
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case result.MatchString(line):
			results++
		case !key.MatchString(line):
			t.Errorf("neither a key nor a result: %s", line)
		}
	}
	if results != 2*2*3 {
		t.Errorf("%d results, want 12:\n%s", results, b.String())
	}
}

func pageOf(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := measured(t).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page needs nothing else, runs nothing, and says what could not run.
func TestHTMLStandsAlone(t *testing.T) {
	text := pageOf(t)
	for _, no := range []string{"<script", "src=", "http://", "https://", "@import", "url(", "a <peer>", "NaN", "Inf", "ZgotmplZ"} {
		if strings.Contains(text, no) {
			t.Errorf("the page has %q in it", no)
		}
	}
	for _, yes := range []string{"a &lt;peer&gt;", "it needs a driver", "no Windows", "Checksum by size", "Latency: checksum/size=60", "prefers-color-scheme: dark", `name="viewport"`} {
		if !strings.Contains(text, yes) {
			t.Errorf("the page lacks %q", yes)
		}
	}
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(pictures) != 2 {
		t.Errorf("%d pictures, want 2", len(pictures))
	}
	for _, p := range pictures {
		d := xml.NewDecoder(strings.NewReader(p))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, p)
			}
		}
	}
}

// Texts are read on the page and on cards, in both colour schemes: contrast by WCAG 2, at least 4.5.
func TestHTMLContrast(t *testing.T) {
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(pageOf(t), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d colour schemes, want 2", len(schemes))
	}
	for i, s := range schemes {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--(\w+):#([0-9a-f]{6})`).FindAllStringSubmatch(s[1], -1) {
			colours[m[1]] = luminance(m[2])
		}
		for _, text := range []string{"text", "soft", "good", "bad", "wait"} {
			for _, back := range []string{"back", "card"} {
				a, b := colours[text], colours[back]
				if c := (max(a, b) + 0.05) / (min(a, b) + 0.05); c < 4.5 {
					t.Errorf("scheme %d: %s on %s has contrast %.2f", i, text, back, c)
				}
			}
		}
	}
}

func luminance(hex string) float64 {
	l := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		c := float64(v) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
