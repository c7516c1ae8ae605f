package drvtest

// keptByHandle are the rules that divertdrv.Handle and Batch keep by themselves: no driver can break them, so no mutant does.
var keptByHandle = map[string]bool{
	"open/mandatory-flags":              true,
	"open/exclusive-flags":              true,
	"open/unknown-flags":                true,
	"open/bad-filter":                   true,
	"recv-only/cannot-inject":           true,
	"complete/once":                     true,
	"complete/before-the-next-recv":     true,
	"complete/nothing-is-touched-after": true,
	"hold/misuse-panics":                true,
	"deadline/none-is-none":             true,
	"inject/nothing":                    true,
	"shutdown/else-is-invalid":          true,
}
