package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
)

// capture reads a file as fast as it goes; one run is as many readings of the whole file as fit, at least one.
func capture() bench.Scenario {
	s := bench.Scenario{
		Name: "capture", Op: "one packet of a capture file",
		About: "a capture file of 20,000 mixed packets at full speed: read, classified by 100 filters, written to nowhere",
	}
	s.Cases = []bench.Case{{Params: bench.P("packets", workload.CapturePackets), Variants: []bench.Variant{
		{Name: "weir", About: "driver pcap and a processor with 100 filters", Start: startCapture(true)},
		{Name: "no processor", About: "driver pcap, all packets passed", Start: startCapture(false)},
	}}}
	return s
}

func startCapture(process bool) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		file, err := workload.NewCapture(env.Params.Get("packets"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		var policy *processor.Policy // nil: no processor
		if process {
			texts, _ := workload.MixedFilters(env.Seed, 100)
			if policy, err = policyOf(texts, processor.ActionBlock); err != nil {
				return bench.Trial{}, errors.Join(err, file.Close())
			}
		}
		read := func() (uint64, error) { return readCapture(file.Path, policy) }
		n, err := read()
		if err == nil && n != uint64(file.Packets) {
			err = fmt.Errorf("%d packets were received, want %d", n, file.Packets)
		}
		if err != nil {
			return bench.Trial{}, errors.Join(err, file.Close())
		}
		return bench.Trial{Digest: fmt.Sprint(n, " packets"), Close: file.Close, Run: file.Run(read)}, nil
	}
}

func readCapture(path string, policy *processor.Policy) (n uint64, err error) {
	d, err := pcapdrv.Open(pcapdrv.Options{In: path, Writer: io.Discard})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if policy != nil {
		err = processHandle(h, policy)
	} else {
		err = passAll(h)
	}
	s := h.Stats()
	return s.Received, errors.Join(err, s.Conserved())
}

func processHandle(h *divertdrv.Handle, policy *processor.Policy) error {
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy, PacketTime: true})
	if err != nil {
		return err
	}
	return p.Run(context.Background())
}
