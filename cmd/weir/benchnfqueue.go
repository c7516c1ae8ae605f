package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/nfqueue"
)

// livePath is the scenario nfqueue. Its programs are this one, as newBenchDivert; its peers are built when it is run.
func livePath() bench.Scenario {
	return nfqueue.Scenario(nfqueue.Config{Self: selfDivert()})
}

func selfDivert() []string {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return []string{path, "bench", "divert"}
}

// livePeers replaces the scenario nfqueue by one with its peers, which need no protocol but are programs by themselves. done removes them.
func (f *benchFlags) livePeers(ctx context.Context, chosen []bench.Scenario, tell func(string)) (done func() error, err error) {
	at := slices.IndexFunc(chosen, func(s bench.Scenario) bool { return s.Name == nfqueue.Name })
	if !f.peers || at < 0 || chosen[at].Unable != nil {
		return func() error { return nil }, nil
	}
	module, err := peersModule()
	if err != nil {
		return nil, wrong(err)
	}
	folder, err := os.MkdirTemp("", "weir-live-peers-")
	if err != nil {
		return nil, err
	}
	c := nfqueue.Config{Self: selfDivert(), Peers: nfqueue.BuildPeers(ctx, module, folder, tell)}
	chosen[at].Cases = slices.DeleteFunc(nfqueue.Scenario(c).Cases, func(c bench.Case) bool {
		return !slices.ContainsFunc(chosen[at].Cases, func(k bench.Case) bool { return k.Params.String() == c.Params.String() })
	})
	return func() error { return os.RemoveAll(folder) }, nil
}

// newBenchDivert is what the scenario nfqueue runs in its router: nobody else needs it.
func newBenchDivert() *cobra.Command {
	return &cobra.Command{
		Use:    "divert LOOP FILTER",
		Short:  "Divert what is forwarded here and pass all of it, for the scenario nfqueue",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			loop := nfqueue.Loop(args[0])
			if !slices.Contains(nfqueue.Loops(), loop) {
				return wrongf("no loop %q, want one of %v", loop, nfqueue.Loops())
			}
			return nfqueue.Divert(ctx, loop, args[1], cmd.OutOrStdout())
		}),
	}
}
