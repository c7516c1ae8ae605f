// Command weir diverts packets, classifies them by a policy, and puts them back.
//
//	weir run POLICY | 'FILTER'   divert, classify, put back
//	weir dump FILTER             show and record packets
//	weir check POLICY            say what is wrong with a policy
//	weir filter …                try, check and look up filters
//	weir bench [SCENARIO…]       measure Weir here, beside what others use
//	weir version                 say what this program is
//
// Results go to standard output, logs and progress to standard error. Exit status: 0 done, 1 failed, 2 wrong usage or policy; of weir
// bench --strict also 3, a goal is missed.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
