package filter

import "github.com/weirnet/weir/bench/workload"

// Name names a filter; Traffic is packets in the forms that engines take. Weir's own scenario has the same.
type (
	Name    = workload.FilterName
	Traffic = workload.Traffic
	Fields  = workload.Fields
)

// The filters that are compared.
const (
	Short    = workload.Short
	Medium   = workload.Medium
	Ranges20 = workload.Ranges20
)

// The port of Short and Medium.
const port = workload.Port

func number(a int) any { return a }
