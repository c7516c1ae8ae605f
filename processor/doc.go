// Package processor classifies packets by the model of the Windows Filtering Platform (WFP) and drives the pipeline from Recv to
// Complete.
//
// A packet walks the layers of its direction (Layer). At each layer sublayers are asked from the highest weight down, and in
// each sublayer its filters, until one permits or blocks; actions and rights combine by WFP's filter arbitration (arbitrate.go).
// A filter decides by conditions alone, or names a Callout, which is code. What no filter decides is permitted.
//
// One worker per handle and reader receives a batch, classifies its packets and completes it; packets do not change goroutines
// unless a callout holds them or defers work. While a flow has held or deferred packets, its later ones wait behind them, so
// that order within a flow is kept.
package processor
