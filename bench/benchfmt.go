package bench

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteBenchfmt writes every run as Go's benchmarks print theirs (https://go.dev/design/14313-benchmark-format), for benchstat:
//
//	BenchmarkFilter/filter=medium/traffic=mixed/variant=weir 131072 7.95 cpu-ns/op …
//
// To compare variants: benchstat -col /variant FILE.
func (r *Report) WriteBenchfmt(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/weirnet/weir/bench\ncpu: %s\ncommit: %s\ndate: %s\nseed: %d\n",
		r.Build.GOOS, r.Build.GOARCH, r.Machine.CPU, r.Build.Commit, r.Date.Format("2006-01-02T15:04:05Z07:00"), r.Settings.Seed)
	for i := range r.Results {
		for j := range r.Results[i].Outcomes {
			o := &r.Results[i].Outcomes[j]
			for k := range o.Runs {
				writeBenchLine(w, r.Results[i].benchName(o.Variant), &o.Runs[k])
			}
		}
	}
	return w.Flush()
}

// benchName is made of words without spaces; the format starts it with a capital letter.
func (r *Result) benchName(variant string) string {
	name := r.Name() + "/variant=" + variant
	return "Benchmark" + strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], " ", "_")
}

func writeBenchLine(w io.Writer, name string, s *Sample) {
	fmt.Fprintf(w, "%s %d", name, max(s.Ops, 1))
	for _, m := range metricsOf([]Sample{*s}) {
		if v, known := m.of(s); known {
			fmt.Fprintf(w, " %.6g %s", v, m.Name)
		}
	}
	fmt.Fprintln(w)
}
