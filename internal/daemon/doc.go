// Package daemon runs a plan: it opens the driver and the handles, drives the processor until the packets end, the context ends
// or the count is reached, closes everything in order, and tells what became of every packet. It also writes the program's
// logs, for start, stop, signals and errors; never for a packet.
//
//	s, err := daemon.Open(plan, log)
//	end, err := console.Start(s) // if others are to talk to it
//	result, err := s.Run(ctx)    // the result stands even with an error
//
// The path of a run, in the order of the files: plan.go says what to run, backend.go opens the driver (simulated.go, capture.go,
// live.go), swap.go lets what is under the handles be replaced, meter.go counts bytes and ends at the count, recorders.go starts
// callouts that write files, session.go opens handles and runs, verify.go gathers breaches of the considerations, result.go adds up.
//
// While it runs: reload.go takes up another policy (rearrange.go changes handles, callouts.go keeps callouts), revive.go opens a
// driver that died, console.go serves the control API of internal/control (status.go, stats.go, flows.go, explain.go, feeds.go,
// watchers.go) and metrics (metric.go, collect.go), filewatch.go, notify.go and pidfile.go do what a daemon does beside that.
package daemon
