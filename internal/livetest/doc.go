// Package livetest is tests only: the weir command diverts everything in a network namespace of the test's own, and the programs
// that people use there must notice nothing. Linux, root; what lacks skips a test, and fails it with CI=true.
package livetest
