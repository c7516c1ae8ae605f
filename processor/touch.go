package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// touchFrom is the number of flows from which the table is larger than the caches near a processor.
const touchFrom = 1 << 12

// toucher is the hashes of a batch's packets; 0 where a packet has no flow.
type toucher struct {
	hashes [divertdrv.BatchMax]uint64
	sum    int64 // of what was read, so that reading is not left out
}

// touch reads the slots and entries of a batch's packets before they are judged. Each is a miss of the caches where there are many
// flows; read one behind the other, with nothing in between that waits for them, the misses overlap.
func (t *flowTable) touch(packets []divertdrv.Packet) {
	if t.live.Load() < touchFrom {
		return
	}
	hashes := t.touched.hashes[:len(packets)]
	for i := range packets {
		var key wire.FlowKey
		hashes[i] = 0
		if _, ok := packets[i].Headers().ReadFlow(packets[i].Data, &key); ok {
			hashes[i] = key.Hash(t.order.seed)
		}
	}
	t.touchHashes(hashes)
}

func (t *flowTable) touchHashes(hashes []uint64) {
	mask := uint64(len(t.slots) - 1)
	sum := uint64(0)
	for _, h := range hashes {
		sum += uint64(t.slots[h&mask])
	}
	t.touched.sum += int64(sum)
	for _, h := range hashes {
		for at := h & mask; t.slots[at] != 0; at = (at + 1) & mask {
			if s := t.slots[at]; uint64(s)>>32 == h>>32 {
				f := &t.slab[s.entry()]
				t.touched.sum += f.seen + int64(f.hash) // one in each of its lines
				break
			}
		}
	}
}
