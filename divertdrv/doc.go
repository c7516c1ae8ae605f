// Package divertdrv is the seam between Weir and the divert drivers: it takes packets out of a network stack, and puts them
// back.
//
//	h, err := divertdrv.Open("tcp.DstPort == 23", divertdrv.Network, nil)
//	b := divertdrv.NewBatch(64, 1<<20)
//	for h.Recv(b) == nil {
//		for i := range b.Packets() {
//			b.Packets()[i].Set(divertdrv.Pass, 0)
//		}
//		h.Complete(b)
//	}
//
// A Handle is a filter, a layer, a priority and flags, as in WinDivert. Recv fills a Batch with packets that the stack now
// waits for; each is marked Pass or Drop (the default), or taken out with Hold; Complete sends all marks at once. Packets that
// were never received go in by Inject. What a handle passes or injects visits handles of strictly lower priority only.
//
// At every moment Stats obeys
//
//	Received = Passed + sum(Dropped) + Held + InBatch
//	Injected = Completed + Failed
//
// Recv blocks until there is a packet, Shutdown or Close; nothing else here blocks but on locks held briefly. Misuse of a batch
// (using it out of turn, completing it twice, touching a packet that was held) panics: it would lose packets in silence.
package divertdrv
