// Command serve lets the peers of this module take part in `weir bench --peers`: see package bench for the lines that it reads and
// writes. It is of no use by itself. Its argument, if there is one, is the folder of this module, to build other programs from.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/peers/checksum"
	"github.com/weirnet/weir/bench/peers/filter"
	"github.com/weirnet/weir/bench/peers/gopacket/fork"
	"github.com/weirnet/weir/bench/peers/gopacket/google"
	"github.com/weirnet/weir/bench/peers/gopacket/streams"
	"github.com/weirnet/weir/bench/peers/opengfw"
	"github.com/weirnet/weir/bench/peers/tailscale"
)

// all are the variants of this module; each folder adds its own.
func all(module string) []bench.Served {
	return slices.Concat(google.Served("gopacket"), fork.Served("gopacket fork"), streams.Served(), tailscale.Served(), checksum.Served(), filter.Served(),
		opengfw.Served(module))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	module := ""
	if len(os.Args) > 1 {
		module = os.Args[1]
	}
	if err := bench.Serve(ctx, os.Stdin, os.Stdout, all(module)); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}
