package inject

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// repairSum has the IPv4 header checksum computed anew, whatever the Address claims: what was reassembled carries a stale one,
// and nothing marks it.
func (j *Injector) repairSum(s *Scope, p *divertdrv.Packet) {
	if !j.watch.looks(StaleChecksum) || p.Headers().Version != 4 {
		return
	}
	if p.Addr.IPChecksum() && !p.Changed() {
		if had, want := headerSum(p); had != want && j.watch.breached(StaleChecksum) {
			j.watch.report(s, &Violation{
				Rule: StaleChecksum, Path: Receive, cause: ErrStaleChecksum,
				Detail: fmt.Sprintf("IPv4 header checksum %#04x, want %#04x, on receive injection", had, want),
				Remedy: "clear the Address's IPChecksum, or compute it: a reassembled packet carries a stale one",
			})
		}
	}
	if j.watch.enforces(StaleChecksum) {
		p.Addr.SetIPChecksum(false)
	}
}

// headerSum returns the header checksum that an IPv4 packet has, and the right one.
func headerSum(p *divertdrv.Packet) (had, want uint16) {
	h := *p.Headers()
	h.Transport = wire.NoTransport // it is not asked about
	if wire.Judge(p.Data, &h).IP == 0 {
		return 0, 0 // it is right, whatever it is
	}
	var header [60]byte // with all options that fit
	wire.CalcParsed(header[:copy(header[:], p.Data[:h.HeaderLen])], &h, 0)
	return h.IPv4(p.Data).Checksum(), h.IPv4(header[:]).Checksum()
}
