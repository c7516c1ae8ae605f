package wire_test

// Where benchmarks leave their results, so that nothing is optimised away.
var (
	sink16   uint16
	sink64   uint64
	sinkBool bool
)
