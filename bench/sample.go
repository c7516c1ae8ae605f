package bench

import (
	"maps"
	"slices"
	"time"
)

// Sample is what one run measured. Zero means that it was not measured, but for allocations, loss and system time where they belong.
type Sample struct {
	Ops     uint64        `json:"ops"`               // operations done
	Packets uint64        `json:"packets,omitempty"` // that they took
	Bytes   uint64        `json:"bytes,omitempty"`   // from the IP header
	Elapsed time.Duration `json:"elapsed_ns"`
	CPU     time.Duration `json:"cpu_ns"`              // of the process: user and system, all threads
	User    time.Duration `json:"user_ns,omitempty"`   // of it; the kernel's split is coarse in short runs
	System  time.Duration `json:"system_ns,omitempty"` // of it

	Counted    bool   `json:"allocs_counted,omitempty"` // the next two are known
	Allocs     uint64 `json:"allocs"`
	AllocBytes uint64 `json:"alloc_bytes"`

	Memory  uint64            `json:"memory,omitempty"` // bytes that live on the heap for the variant
	Loss    map[string]uint64 `json:"loss,omitempty"`   // packets by cause; a cause with 0 says that none was lost so
	Latency *Latency          `json:"latency,omitempty"`

	// Extra are other measures, by the name of a Metric that the report then shows, such as "syscalls/packet".
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Metric is a measure that is taken from a sample.
type Metric struct {
	Name   string // as in Go's benchmarks, with its unit: "ns/op"
	Higher bool   // more is better
	of     func(s *Sample) (v float64, known bool)
}

// The names of metrics that are always there. Percentiles are "p50-ns", "p90-ns", "p99-ns", "p99.9-ns", "max-ns"; what Sample.Extra
// has is a metric by its own name, of which less is better unless it ends in "/s" or "-share".
const (
	ByCPU    = "cpu-ns/op"
	ByTime   = "ns/op"
	ByRate   = "packets/s"
	ByBytes  = "bytes/s"
	ByAllocs = "allocs/op"
	ByMemory = "B"
	ByLoss   = "lost/packet"
	ByP50    = "p50-ns"
	ByP99    = "p99-ns"
)

func perOp(f func(s *Sample) float64) func(s *Sample) (float64, bool) {
	return func(s *Sample) (float64, bool) {
		v := f(s)
		return v / float64(s.Ops), s.Ops > 0 && v > 0
	}
}

func perSecond(f func(s *Sample) uint64) func(s *Sample) (float64, bool) {
	return func(s *Sample) (float64, bool) { return float64(f(s)) / s.Elapsed.Seconds(), s.Elapsed > 0 && f(s) > 0 }
}

func percentile(q float64) func(s *Sample) (float64, bool) {
	return func(s *Sample) (float64, bool) {
		if s.Latency == nil || s.Latency.Count() == 0 {
			return 0, false
		}
		return float64(s.Latency.Percentile(q)), true
	}
}

var metrics = []Metric{
	{ByCPU, false, perOp(func(s *Sample) float64 { return float64(s.CPU) })},
	{ByTime, false, perOp(func(s *Sample) float64 { return float64(s.Elapsed) })},
	{"user-ns/op", false, perOp(func(s *Sample) float64 { return float64(s.User) })},
	{"system-ns/op", false, perOp(func(s *Sample) float64 { return float64(s.System) })},
	{ByRate, true, perSecond(func(s *Sample) uint64 { return s.Packets })},
	{ByBytes, true, perSecond(func(s *Sample) uint64 { return s.Bytes })},
	{ByAllocs, false, func(s *Sample) (float64, bool) { return float64(s.Allocs) / float64(s.Ops), s.Counted && s.Ops > 0 }},
	{"B/op", false, func(s *Sample) (float64, bool) { return float64(s.AllocBytes) / float64(s.Ops), s.Counted && s.Ops > 0 }},
	{ByMemory, false, func(s *Sample) (float64, bool) { return float64(s.Memory), s.Memory > 0 }},
	{ByP50, false, percentile(50)},
	{"p90-ns", false, percentile(90)},
	{ByP99, false, percentile(99)},
	{"p99.9-ns", false, percentile(99.9)},
	{"max-ns", false, percentile(100)},
	{ByLoss, false, func(s *Sample) (float64, bool) {
		return float64(s.lost()) / float64(max(s.Packets, 1)), s.Loss != nil
	}},
}

func (s *Sample) lost() (n uint64) {
	for _, v := range s.Loss {
		n += v
	}
	return n
}

// metric finds a metric by its name.
func metric(name string) Metric {
	for _, m := range metrics {
		if m.Name == name {
			return m
		}
	}
	return Metric{name, rises(name), func(s *Sample) (float64, bool) {
		v, known := s.Extra[name]
		return v, known
	}}
}

// metricsOf lists the metrics that the samples may have, the usual ones first.
func metricsOf(runs []Sample) (all []Metric) {
	all = slices.Clone(metrics)
	extra := map[string]bool{}
	for i := range runs {
		for name := range runs[i].Extra {
			extra[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		all = append(all, metric(name))
	}
	return all
}

// series is the metric in each run; nil unless it is known in all.
func (m Metric) series(runs []Sample) []float64 {
	var all []float64
	for i := range runs {
		v, known := m.of(&runs[i])
		if !known {
			return nil
		}
		all = append(all, v)
	}
	return all
}
