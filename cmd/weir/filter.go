package main

import (
	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

func newFilter() *cobra.Command {
	return group(&cobra.Command{
		Use:     "filter",
		GroupID: groupText,
		Short:   "Try, check and look up filters",
		Long: `Filters are written in the language of WinDivert 2.2: comparisons of fields joined by and, or, not and parentheses. The same
text stands on the command line, in policies and in programs that embed Weir.

  tcp.DstPort == 443 and outbound          TCP to port 443, from this host
  ip.SrcAddr >= 10.0.0.0 and ip.SrcAddr <= 10.255.255.255
  (udp.DstPort == 53 or udp.SrcPort == 53) and not loopback
  (tcp.PayloadLength > 0 ? tcp.Payload[0] == 0x16 : false)

A comparison of a field that the packet does not have is false. Fields without a comparison mean "is not 0".`,
		Example: `  weir filter fields                                # which fields are there?
  weir filter compile 'tcp.DstPort == 443'          # is this a filter?
  weir filter lint 'tcp and udp'                    # is it what was meant?
  weir filter eval 'tcp.Syn' -r capture.pcapng      # which packets does it take?
  weir filter explain 'tcp.Syn' -r capture.pcapng   # and why?`,
	}, newFilterEval(), newFilterCompile(), newFilterFields(), newFilterFormat(), newFilterExplain(), newFilterLint())
}

// layerFlag adds --layer. Its value is read by layerOf.
func layerFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "layer", "network", "`layer` of the filter: network, forward, flow, socket, reflect, or 0 to 4")
	complete(cmd, "layer", []string{"network", "forward", "flow", "socket", "reflect"})
}

func layerOf(name string) (addr.Layer, error) {
	l, err := addr.ParseLayer(name)
	return l, wrong(err)
}

// compat22Flag adds --compat22. Its value is read by languageOf.
func compat22Flag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "compat22", false, "answer as WinDivert 2.2 does where it is wrong too")
}

// parseFilter compiles the filter that is an argument.
func parseFilter(src, layer string, compat22 bool) (*filter.Program, error) {
	l, err := layerOf(layer)
	if err != nil {
		return nil, err
	}
	prog, err := filter.Parse(src, l, languageOf(compat22)...)
	return prog, wrong(err)
}

// oneOrBatch wants the filter as the argument, or none where lines are read from standard input.
func oneOrBatch(batch *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *batch {
			return cobra.NoArgs(cmd, args)
		}
		return take(1, "the filter")(cmd, args)
	}
}

func languageOf(compat22 bool) []filter.Option {
	if compat22 {
		return []filter.Option{filter.Compat22()}
	}
	return nil
}
