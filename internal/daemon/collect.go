package daemon

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// scrapesMax bounds scrapes at the same time.
const scrapesMax = 4

// metricsHandler answers scrapes. All is added up when it is asked for: packets cost nothing more for it.
func (s *Session) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax, ErrorHandling: promhttp.ContinueOnError})
}

// collector reads a session.
type collector struct{ s *Session }

// Describe is prometheus.Collector's.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range families {
		to <- m.desc
	}
}

// Collect is prometheus.Collector's. What a handle counted is of one moment, so that its books are right in each scrape.
func (c collector) Collect(to chan<- prometheus.Metric) {
	out := scrape{to}
	status, stats, more := c.s.Status(), c.s.ControlStats(), c.s.proc.Stats()
	out.program(&status)
	for i := range stats.Handles {
		out.handle(&stats.Handles[i])
	}
	out.histogram(mBatches, &stats.Batches)
	out.filters(stats.Filters)
	out.callouts(stats.Callouts)
	out.flows(&stats.Flows)
	for what, n := range c.s.counts(&more) {
		out.put(mPipeline, n, what)
	}
	for i, n := range more.Violations {
		out.put(mViolations, n, processor.Rule(i).String())
	}
	died, again, _ := c.s.revived.get()
	out.put(mDied, died)
	out.put(mReopened, again)
	out.control(stats.Control)
}

// scrape is one answer.
type scrape struct{ to chan<- prometheus.Metric }

func (o scrape) put(m *metric, n uint64, labels ...string) { o.float(m, float64(n), labels...) }

func (o scrape) float(m *metric, v float64, labels ...string) {
	o.to <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
}

func (o scrape) truth(m *metric, v bool, labels ...string) {
	n := 0.0
	if v {
		n = 1
	}
	o.float(m, n, labels...)
}

func (o scrape) histogram(m *metric, l *control.Latency, labels ...string) {
	buckets := make(map[float64]uint64, len(l.Buckets))
	sum := uint64(0)
	for i, n := range l.Buckets {
		if sum += n; i < len(l.Buckets)-1 {
			buckets[time.Duration(control.LatencyFirst<<i).Seconds()] = sum
		}
	}
	total := time.Duration(l.SumNS).Seconds()
	if l.SumNS == 0 {
		total = l.Estimate().Seconds()
	}
	o.to <- prometheus.MustNewConstHistogram(m.desc, l.Count, total, buckets, labels...)
}

func (o scrape) program(s *control.Status) {
	o.float(mBuild, 1, s.Weir.Version, s.Weir.Revision, s.Weir.Go, s.Weir.Platform, s.Driver.Name)
	for _, state := range []string{control.Starting, control.Running, control.Paused, control.Draining} {
		o.truth(mState, s.State == state, state)
	}
	o.float(mStarted, seconds(s.Started))
	o.float(mLoaded, seconds(s.Policy.LoadedAt))
	o.float(mFilters, float64(s.Policy.Filters))
	o.put(mReloads, s.Reloads.Applied, "applied")
	o.put(mReloads, s.Reloads.Refused, "refused")
	o.truth(mUp, s.Driver.Open)
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

func (o scrape) handle(h *control.HandleStats) {
	id := []string{strconv.Itoa(h.ID), h.Layer}
	for _, x := range []struct {
		m *metric
		n uint64
	}{
		{mReceived, h.Received},
		{mBytes, h.BytesReceived},
		{mPassed, h.Passed},
		{mHeld, h.Held},
		{mInBatch, h.InBatch},
		{mInjected, h.Injected},
		{mCompleted, h.Completed},
		{mFailed, h.Failed},
	} {
		o.put(x.m, x.n, id...)
	}
	for cause, n := range h.DroppedBy {
		o.put(mDropped, n, id[0], id[1], cause)
	}
	for cause, n := range h.LostBy {
		o.put(mLost, n, id[0], id[1], cause)
	}
	if h.Queued != nil {
		o.put(mQueued, *h.Queued, id...)
	}
}

// filters tells of filters, one by one as far as they are not too many, and of layers.
func (o scrape) filters(all []control.FilterStats) {
	type sums struct{ matched, permitted, blocked, vetoes uint64 }
	layers := map[string]*sums{}
	rest := map[string]*sums{}
	add := func(by map[string]*sums, f *control.FilterStats) {
		s := by[f.Layer]
		if s == nil {
			s = &sums{}
			by[f.Layer] = s
		}
		s.matched += f.Matched
		s.permitted += f.Permitted
		s.blocked += f.Blocked
		s.vetoes += f.Vetoes
	}
	put := func(name, layer string, s *sums) {
		o.put(mMatched, s.matched, name, layer)
		o.put(mPermitted, s.permitted, name, layer)
		o.put(mBlocked, s.blocked, name, layer)
		o.put(mVetoes, s.vetoes, name, layer)
	}
	for i := range all {
		f := &all[i]
		add(layers, f)
		if i >= filtersExported {
			add(rest, f)
			continue
		}
		put(f.Name, f.Layer, &sums{f.Matched, f.Permitted, f.Blocked, f.Vetoes})
	}
	for layer, s := range rest {
		put(other, layer, s)
	}
	for layer, s := range layers {
		o.put(mLayerMatched, s.matched, layer)
		o.put(mLayerBlocked, s.blocked, layer)
	}
}

func (o scrape) callouts(all []control.CalloutStats) {
	for i := range all[:min(len(all), calloutsExported)] {
		c := &all[i]
		o.histogram(mCalls, &c.Took, c.Name)
		o.put(mOverruns, c.Overruns, c.Name)
		for name, n := range c.Counters {
			o.put(mCounted, n, c.Name, name)
		}
	}
}

func (o scrape) flows(f *control.FlowTotals) {
	o.put(mFlows, f.Now)
	o.put(mFlowsOpened, f.Opened)
	o.put(mFlowsEvicted, f.Evicted)
	o.put(mFlowsIdle, f.Idle)
}

func (o scrape) control(all map[string]uint64) {
	for what, n := range all {
		switch what {
		case "connections", "subscribers":
			o.put(mClients, n, what)
		case "log_lines_skipped":
			o.put(mSkipped, n)
		default:
			o.put(mControl, n, what)
		}
	}
}
