package nfqdrv_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// BenchmarkTCP compares the time of a bulk transfer through a router without a handle and with one that diverts and passes all of it,
// one after the other, so that a neighbour's load falls on both. It reports megabytes per second and their ratio.
//
//	go test -run '^$' -bench TCP -benchtime 5x ./divertdrv/nfqdrv
func BenchmarkTCP(b *testing.B) {
	net := nettest.NewRouted(b)
	const bytes = 200 << 20
	var without, with time.Duration
	for b.Loop() {
		without += nettest.MustTransferTCP(b, net.Client.NS, net.Server.NS, net.Server.V4, bytes).Elapsed
		h := openAt(b, driverIn(net.Router), "tcp", divertdrv.NetworkForward, divertdrv.Options{})
		over := start(b, h, nil)
		with += nettest.MustTransferTCP(b, net.Client.NS, net.Server.NS, net.Server.V4, bytes).Elapsed
		_ = h.Close()
		<-over
	}
	mbs := func(d time.Duration) float64 { return float64(b.N) * bytes / 1e6 / d.Seconds() }
	b.ReportMetric(mbs(without), "MB/s-none")
	b.ReportMetric(mbs(with), "MB/s-diverted")
	b.ReportMetric(without.Seconds()/with.Seconds(), "ratio")
}
