package nfqueue

import (
	"context"
	"errors"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// judgeAgain is how long after a judgement a flow whose packets still come is judged once more: a judgement may find no pause.
const judgeAgain = 10 * time.Millisecond

// judgeAll is passAll that leaves every flow to the kernel as soon as it sees it.
func judgeAll(ctx context.Context, h *divertdrv.Handle) error {
	flows := map[divertdrv.FlowKey]time.Time{}
	return passEach(ctx, h, func(packets []divertdrv.Packet) error {
		now, era := time.Now(), h.Era()
		for i := range packets {
			var k divertdrv.FlowKey
			hd := packets[i].Headers()
			if _, ok := hd.ReadFlow(packets[i].Data, &k); !ok || opens(hd, packets[i].Data) || now.Sub(flows[k]) < judgeAgain {
				continue
			}
			flows[k] = now
			if err := h.Judge(k, era); err != nil && !errors.Is(err, divertdrv.ErrJudgedFull) {
				return err
			}
		}
		return nil
	})
}

// opens says that a packet is one of those with which a TCP connection opens or ends, which end a judgement.
func opens(h *divertdrv.Headers, b []byte) bool {
	return h.Transport == wire.TCP && h.TCP(b).Flags()&(wire.SYN|wire.FIN|wire.RST) != 0
}
