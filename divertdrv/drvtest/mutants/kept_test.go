package mutants

// keptByHandle are the rules that divertdrv.Handle and Batch keep by themselves, and how: no driver can break them alone. They
// stay in the suite, since a program relies on them whoever keeps them.
var keptByHandle = map[string]string{
	"open/mandatory-flags":                         "Open refuses before the driver is asked",
	"open/exclusive-flags":                         "Open refuses before the driver is asked",
	"open/unknown-flags":                           "Open refuses before the driver is asked",
	"open/bad-filter":                              "a driver is given a compiled filter",
	"recv-only/cannot-inject":                      "Inject refuses before the driver is asked",
	"complete/once":                                "the batch knows that it was completed",
	"complete/by-its-own-handle":                   "the batch knows whose it is",
	"complete/a-failed-recv-leaves-the-batch-free": "the batch forgets what a Recv that failed has put into it",
	"modify/resize-bounds":                         "Resize refuses, and the driver sees the result only",
	"param/bounds":                                 "SetParam refuses before the driver is asked",
	"complete/before-the-next-recv":                "the batch knows that it is out",
	"complete/nothing-is-touched-after":            "a packet knows the round of its batch",
	"hold/misuse-panics":                           "the batch knows what is held",
	"deadline/none-is-none":                        "Hold sets no timer",
	"inject/nothing":                               "Inject does not ask the driver",
	"shutdown/else-is-invalid":                     "Shutdown refuses before the driver is asked",
}
