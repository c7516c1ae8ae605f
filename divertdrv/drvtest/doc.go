// Package drvtest is the contract of a divert driver as one suite of tests, which every driver passes: what a program written
// for WinDivert may rely on, and what Weir promises beside it. docs/drivers.md has both as prose, and how to write a driver.
//
//	func TestDriver(t *testing.T) {
//		drvtest.TestDriver(t, drvtest.Setup{New: newWorld, Skips: []string{"address/forwarded", "flow/*", …}})
//	}
//
// A driver's test gives a World: the driver, what it claims to do, and a Network that plays the host and the wire around it.
// Each rule gets a World of its own, and they run one after the other. A rule that needs what the World lacks is skipped by name,
// and Setup.Skips pins those names: a driver that loses an ability fails, and one that gains an ability must say so.
//
// After each rule every handle is closed and the law of conservation is checked, for each handle and for the whole network.
//
// Rules move packets of their own only (UDP to Port, with a number in the payload), so a Network may be a real one with traffic
// of its own, on which packets take their time: Settle waits for them. Nothing here depends on how fast a machine is, as long as
// a packet is received within a second: Setup.Patience bounds only how long the suite waits for what will never come.
//
// Package simdrv/simtest is the World of the simulator, package mutants the proof that each rule can fail.
package drvtest
