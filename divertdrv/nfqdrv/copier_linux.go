package nfqdrv

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/perf"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
)

const (
	copyRing = 4 << 20 // bytes of each processor's buffer; what does not fit is lost, and counted
	copyMax  = 65000   // bytes of a packet that a copy has at most: a record of the buffer has a 16-bit length
)

// copier brings the copies of a Sniff handle: its program writes each packet into a buffer of the processor that it runs on. A
// goroutine reads the buffers, restores the order and hands the copies to the backlog.
type copier struct {
	events *ebpf.Map
	lost   counter // copies that no buffer had room for
	reader *perf.Reader

	stopping atomic.Bool
	over     chan struct{} // closed when the goroutine has read all
	more     sync.Cond     // of in.mu: the backlog is not empty any more, or all is over

	bytes   []byte
	samples []sample
}

// sample is what the program says of a packet, in the order of its fields in memory.
type sample struct {
	time   uint64 // ktime: order
	place  uint32 // of the handle's places
	length uint32 // of the packet in bytes
	ifIdx  uint32 // of the device that brought it, or 0

	off, n int // its bytes
}

const sampleLen = 24 // of the first four, and padding

func openCopier() (c *copier, err error) {
	c = &copier{over: make(chan struct{})}
	if c.lost, err = newCounter(); err != nil {
		return nil, err
	}
	c.events, err = ebpf.NewMap(&ebpf.MapSpec{Name: "weir_copies", Type: ebpf.PerfEventArray})
	if err == nil {
		c.reader, err = perf.NewReader(c.events, copyRing)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("buffers for copies (CAP_BPF, CAP_PERFMON): %w", err), c.close())
	}
	return c, nil
}

// instructions end the program of a place: they copy the packet and do not match.
func (c *copier) instructions(place int) asm.Instructions {
	const (
		at        = -32
		skbLen    = 0
		skbIfIdx  = 40
		thisCPU   = 0xffff_ffff // BPF_F_CURRENT_CPU
		lenInFlag = 32          // BPF_F_CTXLEN_MASK
	)
	ins := asm.Instructions{
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.RFP, at, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, int32(place)),
		asm.StoreMem(asm.RFP, at+8, asm.R1, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, skbLen, asm.Word),
		asm.StoreMem(asm.RFP, at+12, asm.R3, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, skbIfIdx, asm.Word),
		asm.StoreMem(asm.RFP, at+16, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, at+20, asm.R1, asm.Word),
		asm.JLE.Imm(asm.R3, copyMax, "Fits"),
		asm.Mov.Imm(asm.R3, copyMax),
		asm.LSh.Imm(asm.R3, lenInFlag).WithSymbol("Fits"),
		asm.LoadImm(asm.R1, thisCPU, asm.DWord),
		asm.Or.Reg(asm.R3, asm.R1),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, c.events.FD()),
		asm.Mov.Reg(asm.R4, asm.RFP),
		asm.Add.Imm(asm.R4, at),
		asm.Mov.Imm(asm.R5, sampleLen),
		asm.FnPerfEventOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, "Copied"),
	}
	return append(append(ins, c.lost.add("Copied")...), asm.Mov.Imm(asm.R0, 0), asm.Return())
}

// run reads until stop. give gets the copies of one look, in order.
func (c *copier) run(give func(samples []sample, bytes []byte)) {
	defer close(c.over)
	var rec perf.Record
	for stopping := false; !stopping; {
		c.bytes, c.samples = c.bytes[:0], c.samples[:0]
		c.reader.SetDeadline(time.Time{})
		if !c.stopping.Load() { // else what stop said may have been heard by drain
			switch err := c.reader.ReadInto(&rec); {
			case err == nil:
				c.note(&rec)
			case errors.Is(err, perf.ErrClosed):
				return
			}
		}
		stopping = c.stopping.Load() // before the last look
		c.drain(&rec)
		slices.SortStableFunc(c.samples, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
		give(c.samples, c.bytes)
	}
}

// passesMax bounds drain where packets come without end.
const passesMax = 16

// drain reads what is there, until a look at all buffers finds nothing: a packet that came after another one of its flow was written
// after it, so what would be out of order is seen by the next look.
func (c *copier) drain(rec *perf.Record) {
	for range passesMax {
		before := len(c.samples)
		c.reader.SetDeadline(time.Now().Add(-time.Second))
		for c.reader.ReadInto(rec) == nil {
			c.note(rec)
		}
		if len(c.samples) == before {
			return
		}
	}
}

func (c *copier) note(rec *perf.Record) {
	raw := rec.RawSample
	if len(raw) < sampleLen {
		return // news of losses, which the program counts
	}
	s := sample{
		time: binary.NativeEndian.Uint64(raw), place: binary.NativeEndian.Uint32(raw[8:]),
		length: binary.NativeEndian.Uint32(raw[12:]), ifIdx: binary.NativeEndian.Uint32(raw[16:]),
		off: len(c.bytes),
	}
	s.n = min(len(raw)-sampleLen, int(s.length), copyMax) // there may be padding behind it
	c.bytes = append(c.bytes, raw[sampleLen:sampleLen+s.n]...)
	c.samples = append(c.samples, s)
}

// stop waits until all that was written is read. Nothing may write any more.
func (c *copier) stop() {
	if !c.stopping.Swap(true) && c.reader.Flush() == nil {
		<-c.over
	}
}

func (c *copier) close() error {
	var errs []error
	if c.reader != nil {
		errs = append(errs, c.reader.Close())
	}
	if c.events != nil {
		errs = append(errs, c.events.Close())
	}
	return errors.Join(append(errs, c.lost.close())...)
}

// takeCopies puts the copies of one look into the backlog.
func (c *conn) takeCopies(samples []sample, bytes []byte) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.look()
	for i := range samples {
		s := &samples[i]
		p := &c.in.packet
		*p = queue.Packet{Hook: queue.Hook(c.filters().places[s.place].at), Len: s.length, Data: bytes[s.off : s.off+s.n]}
		switch c.filters().places[s.place].at {
		case rules.Output:
			if c.filters().places[s.place].out == onLoopback {
				p.OutIf = rules.Loopback
			}
		default:
			p.InIf = s.ifIdx
		}
		c.sift(nil)
	}
	if c.in.backlog.n > 0 {
		c.copier.more.Signal()
	}
}

// recvCopies is Recv of a Sniff handle.
func (c *conn) recvCopies(b *divertdrv.Batch) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for {
		c.in.look()
		if c.fromBacklog(b); b.Len() > 0 {
			return nil
		}
		switch {
		case c.closing.Load():
			return divertdrv.ErrClosed
		case c.recvShut.Load():
			return divertdrv.ErrShutdown
		}
		c.copier.more.Wait()
	}
}
