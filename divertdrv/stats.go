package divertdrv

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv/reason"
)

// Stats counts packets. At every moment Received = Passed + sum(Dropped) + Held + InBatch and Injected = Completed + Failed.
// Lost counts what the driver lost before Recv, by cause in LostBy; it is complete where Caps.LossCounted.
type Stats struct {
	Received, Passed, Held, InBatch, Injected, Completed, Failed, Lost uint64

	Dropped [reason.Max]uint64 // by Cause
	LostBy  [reason.Max]uint64 // by Cause

	// What never became Received, where the driver has a part in the kernel.
	CutThrough   uint64 // packets of judged flows, which went on there; see Handle.Judge
	Unmatched    uint64 // packets that came to user space for a test the kernel cannot make, did not match, and went on
	Repeated     uint64 // packets that the kernel showed again after they were passed, and that went on
	Judged       uint64 // judgements that took effect
	JudgeRefused uint64 // those for which there was no room
}

// DroppedTotal is the sum of Dropped.
func (s *Stats) DroppedTotal() uint64 { return sum(&s.Dropped) }

// Conserved returns nil if the law of conservation holds, and an error that shows the sums if not.
func (s *Stats) Conserved() error {
	if out := s.Passed + s.DroppedTotal() + s.Held + s.InBatch; s.Received != out {
		return fmt.Errorf("received %d != passed %d + dropped %d + held %d + in batch %d",
			s.Received, s.Passed, s.DroppedTotal(), s.Held, s.InBatch)
	}
	if s.Injected != s.Completed+s.Failed {
		return fmt.Errorf("injected %d != completed %d + failed %d", s.Injected, s.Completed, s.Failed)
	}
	if by := sum(&s.LostBy); s.Lost != by {
		return fmt.Errorf("lost %d != %d by cause", s.Lost, by)
	}
	return nil
}

// Add adds the counts of o.
func (s *Stats) Add(o Stats) {
	s.Received += o.Received
	s.Passed += o.Passed
	s.Held += o.Held
	s.InBatch += o.InBatch
	s.Injected += o.Injected
	s.Completed += o.Completed
	s.Failed += o.Failed
	s.Lost += o.Lost
	s.CutThrough += o.CutThrough
	s.Unmatched += o.Unmatched
	s.Repeated += o.Repeated
	s.Judged += o.Judged
	s.JudgeRefused += o.JudgeRefused
	for i := range s.Dropped {
		s.Dropped[i] += o.Dropped[i]
		s.LostBy[i] += o.LostBy[i]
	}
}

func sum(by *[reason.Max]uint64) (total uint64) {
	for _, n := range by {
		total += n
	}
	return total
}
