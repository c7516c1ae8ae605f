// Command weir diverts packets, classifies them by a policy, and puts them back.
//
//	weir run POLICY | 'FILTER'   divert, classify, put back
//	weir dump FILTER             show and record packets
//	weir check POLICY            say what is wrong with a policy
//	weir filter …                try, check and look up filters
//	weir bench [SCENARIO…]       measure Weir here, beside what others use
//	weir config …                say which settings are in force
//	weir service …               have the system run it
//	weir version                 say what this program is
//
// Results go to standard output, logs and progress to standard error. Exit status: 0 done, 1 failed, 2 wrong usage or policy; of weir
// bench --strict also 3, a goal is missed.
package main

import (
	"context"
	"io"
	"os"

	"github.com/weirnet/weir/internal/service"
)

func main() {
	os.Exit(service.Serve(context.Background(), func(ctx context.Context, log io.Writer) int {
		s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
		if log != nil { // a service of Windows has no others
			s.out, s.err = log, log
		}
		return execute(ctx, os.Args[1:], s)
	}))
}
