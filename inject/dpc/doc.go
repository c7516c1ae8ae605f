// Package dpc mirrors the deferred procedure calls of the Windows kernel: DPC objects, one queue per processor, and the
// rules by which a queue is drained. Work that must not run where it was found (a TCP packet injected from a
// classification, for one) is queued as a DPC and runs a moment later on the worker of a queue. The package knows
// nothing of packets and imports only the standard library.
//
// The path of a DPC, in the order of the files:
//
//  1. New makes the object (dpc.go); Pool.Queue routes it to a queue (pool.go).
//  2. The queue admits it, at its tail or, with High importance, at its head (queue.go).
//  3. The drain rule says whether the queue is drained now or later (drain.go); the tick catches up (tick.go).
//  4. The queue's worker takes the head, marks it not queued, and runs its routine (worker.go), until nothing waits.
//  5. The watchdog reports what took too long, is stuck, or panicked (watchdog.go).
//
// # A DPC carries one pending call
//
// A second Queue of a queued DPC is refused and its arguments are lost. So nothing that must not be lost rides in the
// arguments of a shared DPC: keep it in a FIFO of your own, push there first, then queue the one DPC that drains it. A
// refusal because the DPC is already queued is then harmless, since that call is still to come.
//
// # Promptness
//
// A Medium DPC (the default) that has a target set counts as sent to another processor, and by the rule of the kernel
// it is deferred: it runs when its queue is drained for another reason, at the latest at the next tick (15.625 ms). Work
// on packets uses MediumHigh, which drains at once and keeps the order. High goes to the head of the queue: it reorders,
// so packets of one flow never use it. There is no current processor in Go: outside a routine, a DPC without a target
// goes to its home queue (round robin in the order of creation), which counts as the current processor's. Inside a
// routine Call.Queue knows the real one.
//
// # Ownership
//
// A DPC belongs to its maker, and to the first Pool that it is given to for good. The pool keeps it, and its
// arguments, only while it is queued; before its routine runs it is not queued any more, so a routine may queue its own
// DPC again, and if the target was changed in between it may run on two queues at once. Routines of one queue run one
// at a time. Setters take effect at the next Queue and never move a queued DPC.
//
// # Blocking
//
// Queue, Remove and Stats take short locks and never wait. Flush and Close wait. A routine, and Config.OnReport, must
// not block: everything behind it on its queue waits too. Inside a routine Flush and Close return ErrBlockingInDPC if
// they are given the context of the call (Call.Context); InRoutine lets other packages refuse in the same way. Go gives
// a function no honest way to know its goroutine, so with any other context such a call waits for itself until its
// context ends, or until Config.Stall (20 s) has passed and ErrStalled is returned: never for ever.
//
// # Limits and errors
//
// Each queue holds at most Config.Depth DPCs. Pool.Insert says why it refused: ErrQueued, ErrFull, ErrClosed, ErrTarget,
// ErrOtherPool; every refusal is counted in Stats. At rest, queued = ran + removed + waiting. A routine that panics, or
// ends its goroutine with runtime.Goexit, is contained, counted and reported; the queue lives on. An owner for whom some
// panic must not be swallowed panics again in OnReport, which is not contained. Queuing and running do not allocate.
//
// The semantics follow KeInsertQueueDpc, KeRemoveQueueDpc, KeFlushQueuedDpcs, KeSetImportanceDpc and
// KeSetTargetProcessorDpc, and "Organization of DPC Queues" and "Introduction to Threaded DPCs" in the Windows driver
// documentation. Values that Microsoft calls system-defined are those of ReactOS, and are marked so.
package dpc
