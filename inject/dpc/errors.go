package dpc

import "errors"

// Why Insert refused.
var (
	ErrQueued    = errors.New("dpc: already queued: the arguments were not taken, the pending call is still to come")
	ErrFull      = errors.New("dpc: queue full: raise Config.Depth, or queue fewer DPCs and let each drain a FIFO")
	ErrClosed    = errors.New("dpc: pool closed")
	ErrTarget    = errors.New("dpc: target queue out of range: use SetTarget with a number below Pool.Queues")
	ErrOtherPool = errors.New("dpc: the DPC belongs to another pool: make one DPC per pool")
)

// ErrBlockingInDPC is returned by a call that waits, made with the context of a routine.
var ErrBlockingInDPC = errors.New("dpc: blocking call inside a DPC routine: do it from a goroutine of its own")

// ErrStalled is wrapped by what Flush and Close return when they wait for a routine that has run longer than Config.Stall.
var ErrStalled = errors.New("the routine is stuck, or waits for itself by calling Flush or Close (pass them Call.Context)")

// ErrGoexit is the Value of a Panic report when a routine ended its goroutine instead of returning.
var ErrGoexit = errors.New("dpc: the routine called runtime.Goexit")
