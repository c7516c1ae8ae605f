// Package daemon runs a plan: it opens the driver and the handles, drives the processor until the packets end, the context ends
// or the count is reached, closes everything in order, and tells what became of every packet. It also writes the program's
// logs, for start, stop, signals and errors; never for a packet.
//
//	s, err := daemon.Open(plan, log)
//	result, err := s.Run(ctx) // the result stands even with an error
//
// The path of a run, in the order of the files: plan.go says what to run, backend.go opens the driver (simulated.go, capture.go,
// live.go), meter.go counts bytes and ends at the count, recorders.go starts callouts that write files, session.go opens handles and
// runs, verify.go gathers breaches of the considerations, result.go adds up.
package daemon
