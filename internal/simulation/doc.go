// Package simulation runs drivers, processors and injectors through random lives that a seed replays: one virtual clock, one
// goroutine at a time, faults of the wire and of the driver. There are two kinds.
//
// A Program (program.go) is a list of operations over the handles of one simulated host: open, traffic, receive, mark, edit, hold,
// release, inject, shut down, close, die. Next to it runs a model (model*.go), the contract of divertdrv written as plainly as can
// be, which shares no code with the engine under simdrv: after each operation everything that can be seen must be as the model
// says. What breaks it is shrunk to the operations that matter (shrink.go).
//
// A World (world*.go) is two hosts joined by a wire with faults, one of them with processors and injectors whose callouts hold,
// defer, inject, change and panic. Its oracle is conservation, order within flows, and exactly one completion; and that the whole
// run is the same each time.
//
// See docs/simulation.md for how to replay a seed.
package simulation
