// Package archtest holds the shape of the project as a unit test: which folder may import which, and why. It has no code but
// tests; `go test ./internal/archtest` reads every Go file of the module, for all platforms, in well under a second.
//
// A failure names the file, the rule and its reason. Either the code is in the wrong room, or the table in rooms_test.go is to
// change together with its reason (and, where a contract changes, with an ADR in docs/adr).
package archtest
