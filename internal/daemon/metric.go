package daemon

import "github.com/prometheus/client_golang/prometheus"

// metric is one family of /metrics. docs/metrics.md lists them all.
type metric struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType // of those that are no histogram
	desc       *prometheus.Desc
}

var families []*metric

func counter(name, help string, labels ...string) *metric {
	return family(name, help, prometheus.CounterValue, labels)
}

func gauge(name, help string, labels ...string) *metric {
	return family(name, help, prometheus.GaugeValue, labels)
}

func family(name, help string, kind prometheus.ValueType, labels []string) *metric {
	m := &metric{name: "weir_" + name, help: help, labels: labels, kind: kind}
	m.desc = prometheus.NewDesc(m.name, help, labels, nil)
	families = append(families, m)
	return m
}

// The bounds of labels whose values come from a policy: what is more is added up under other.
const (
	filtersExported  = 1000
	calloutsExported = 200
	other            = "(other)"
)

// The metrics. Counts begin with the daemon.
var (
	mBuild   = gauge("build_info", "1; the labels say which program runs.", "version", "revision", "go", "platform", "driver")
	mState   = gauge("state", "1 for the state that the daemon is in, 0 for the others.", "state")
	mStarted = gauge("start_time_seconds", "When the daemon started, seconds since 1970.")

	mReceived  = counter("packets_received_total", "Packets received from the driver.", "handle", "layer")
	mBytes     = counter("bytes_received_total", "Bytes of received packets, from their IP headers.", "handle", "layer")
	mPassed    = counter("packets_passed_total", "Received packets that went on, changed or not.", "handle", "layer")
	mDropped   = counter("packets_dropped_total", "Received packets that did not go on, by cause.", "handle", "layer", "cause")
	mHeld      = gauge("packets_held", "Received packets that callouts hold now.", "handle", "layer")
	mInBatch   = gauge("packets_in_batch", "Received packets that are being judged now.", "handle", "layer")
	mInjected  = counter("packets_injected_total", "Packets put in that were never received.", "handle", "layer")
	mCompleted = counter("injections_completed_total", "Injected packets that went in.", "handle", "layer")
	mFailed    = counter("injections_failed_total", "Injected packets that did not go in.", "handle", "layer")
	mLost      = counter("packets_lost_total", "Packets that the driver lost before they were received, by cause.", "handle", "layer", "cause")
	mQueued    = gauge("queue_packets", "Packets that wait in the driver's queue to be received, where the driver tells.", "handle", "layer")
	mBatches   = family("batch_duration_seconds", "From a batch's packets being received to their being completed.", 0, nil)

	mMatched   = counter("filter_matched_total", "Packets that met a filter's conditions when it was asked.", "filter", "layer")
	mPermitted = counter("filter_permitted_total", "Packets that a filter permitted.", "filter", "layer")
	mBlocked   = counter("filter_blocked_total", "Packets that were dropped by a filter's word.", "filter", "layer")
	mVetoes    = counter("filter_vetoes_total", "Of the blocked packets, those that had been permitted for good.", "filter", "layer")

	mLayerMatched = counter("layer_matched_total", "Matches of all filters at a layer.", "layer")
	mLayerBlocked = counter("layer_blocked_total", "Packets that were dropped at a layer.", "layer")

	mCalls    = family("callout_duration_seconds", "What a callout took for a packet, unless the rule of the time budget is off.", 0, []string{"callout"})
	mOverruns = counter("callout_overruns_total", "Calls that took longer than the budget.", "callout")
	mCounted  = counter("callout_counter_total", "What a callout counts by itself; its README says what that is.", "callout", "counter")

	mFlows        = gauge("flows", "Flows that are remembered now.")
	mFlowsOpened  = counter("flows_opened_total", "Flows that were seen for the first time.")
	mFlowsEvicted = counter("flows_evicted_total", "Flows that were forgotten for new ones.")
	mFlowsIdle    = counter("flows_idle_total", "Flows that ended since they were silent.")
	mPipeline     = counter("pipeline_total", "What else the processor counted.", "what")
	mViolations   = counter("violations_total", "Breaches of the considerations for callouts, by rule.", "rule")

	mFilters  = gauge("policy_filters", "Filters in force.")
	mLoaded   = gauge("policy_loaded_time_seconds", "When the policy in force was read, seconds since 1970.")
	mReloads  = counter("reloads_total", "Reloads, by what became of them: applied or refused.", "result")
	mUp       = gauge("driver_up", "1 while every handle is open; 0 while paused, or while a driver that died is opened again.")
	mDied     = counter("driver_deaths_total", "Handles that broke.")
	mReopened = counter("driver_reopened_total", "Handles that were opened again after they broke.")

	mControl = counter("control_total", "What the control API counted.", "what")
	mClients = gauge("control_clients", "Who uses the control API now: connections, subscribers.", "what")
	mSkipped = counter("log_lines_skipped_total", "Lines of the log that were left out since the same came too often.")
)
