//go:build race

package drvtest

// mutantShare is how many mutants there are for one that TestMutants makes: the race detector makes them slow, and they are not
// about races.
const mutantShare = 4
