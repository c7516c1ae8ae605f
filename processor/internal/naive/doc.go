// Package naive is the pipeline as WFP's documentation tells it: written to be read, with no eye on speed. The processor is tested
// against it, so it imports nothing of the project, and does everything another way: tables instead of switches, words instead of
// numbers, scans instead of indexes, maps instead of slots.
//
// It knows layers by the names that policies use, causes by those of package reason.
package naive
