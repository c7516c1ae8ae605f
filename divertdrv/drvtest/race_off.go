//go:build !race

package drvtest

// mutantShare is how many mutants there are for one that TestMutants makes: it makes all.
const mutantShare = 1
