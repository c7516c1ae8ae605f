package google

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// reading reads all packets of a capture and returns how many there are.
type reading func(r *pcapgo.Reader) (uint64, error)

// source reads as the documentation shows: a PacketSource, a Packet for each, decoded at once.
func source(r *pcapgo.Reader) (n uint64, err error) {
	s := gopacket.NewPacketSource(r, layers.LinkTypeEthernet)
	for {
		p, err := s.NextPacket()
		if err != nil {
			return n, end(err)
		}
		if p.NetworkLayer() != nil {
			n++
		}
	}
}

// frames reads with one decoder for all.
func frames(r *pcapgo.Reader) (n uint64, err error) {
	d := newDecoder()
	for {
		b, _, err := r.ReadPacketData()
		if err != nil {
			return n, end(err)
		}
		if len(b) > 14 {
			d.decode(b[14:])
			n++
		}
	}
}

func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func startCapture(read reading) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		file, err := workload.NewCapture(env.Params.Get("packets"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		all := func() (uint64, error) { return readFile(file.Path, read) }
		n, err := all()
		if err != nil {
			return bench.Trial{}, errors.Join(err, file.Close())
		}
		return bench.Trial{Digest: fmt.Sprint(n, " packets"), Close: file.Close, Run: file.Run(all)}, nil
	}
}

func readFile(path string, read reading) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return 0, err
	}
	return read(r)
}
