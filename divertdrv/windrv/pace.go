package windrv

import "github.com/weirnet/weir/divertdrv"

// After a failure so many packets go alone; after one that comes while chunks are still growing, twice as many as last time.
const aloneMin, aloneMax = 64, 1 << 16

// pace says how many unchanged packets go in one request. WinDivert answers for all of a request at once, so what was refused is
// known of a packet that goes alone only. Chunks double while all goes well; a failure has packets go one by one for a while, and
// longer each time that chunks fail again before they are full.
type pace struct {
	grown   int // log2 of the chunk, 0..8
	alone   int // packets that go alone before chunks grow again
	penance int // what alone was set to last; 0: nothing failed since chunks were full
}

func (p *pace) chunk() int { return min(1<<p.grown, divertdrv.BatchMax) }

// sent is told how a request of chunk packets went.
func (p *pace) sent(ok bool) {
	switch {
	case !ok && p.alone > 0: // one that is known
		p.alone = p.penance
	case !ok:
		p.penance = min(max(2*p.penance, aloneMin), aloneMax)
		p.grown, p.alone = 0, p.penance
	case p.alone > 0:
		p.alone--
	case p.chunk() < divertdrv.BatchMax:
		p.grown++
	default:
		p.penance = 0
	}
}
