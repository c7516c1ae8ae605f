// Command servernames embeds Weir: it prints the server names that TLS connections of a capture ask for, also where the ClientHello
// comes in several segments, out of order or twice.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/stream"
)

// names is a callout that reads along. A capture has one reader; with several, the assembler would need a lock.
type names struct {
	streams *stream.Assembler
	ticked  int64
}

func (*names) Name() string { return "server-names" }

func (n *names) Classify(c *processor.Classification) processor.Verdict {
	n.streams.Add(c.Packet.Data, c.Headers(), c.Now())
	if c.Now()-n.ticked > int64(time.Second) {
		n.ticked = c.Now()
		n.streams.Tick(n.ticked)
	}
	return processor.Verdict{} // it only looks
}

// hello reads the beginning of one connection.
type hello struct {
	conn stream.Conn
	seen []byte
}

func (h *hello) Data(d stream.Direction, lost uint32, b []byte) bool {
	if d == stream.ToOpener || lost > 0 || len(h.seen)+len(b) > 16<<10 {
		return false
	}
	h.seen = append(h.seen, b...)
	name, more := serverName(h.seen)
	if name != "" {
		fmt.Printf("%v asks %v for %s\n", h.conn.Opener.Addr(), h.conn.Other.Addr(), name)
	}
	return more
}

func (h *hello) Closed(stream.End) {}

func main() {
	file := "testdata/captures/tls.pcapng"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(file); err != nil {
		log.Fatal(err)
	}
}

func run(file string) error {
	capture, err := pcapdrv.Open(pcapdrv.Options{In: file})
	if err != nil {
		return err
	}
	h, err := divertdrv.Open("tcp", divertdrv.Network, &divertdrv.Options{Driver: capture})
	if err != nil {
		return err
	}
	n := &names{streams: stream.New(stream.Config{}, func(c stream.Conn) stream.Reader { return &hello{conn: c} })}
	var filters []processor.Filter
	for _, l := range []processor.Layer{processor.InboundTransport, processor.OutboundTransport} {
		filters = append(filters, processor.Filter{Name: l.String(), Layer: l, Action: processor.ActionCalloutInspection, Callout: n})
	}
	policy, err := processor.NewPolicy(nil, filters)
	if err != nil {
		return err
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy, PacketTime: true})
	if err != nil {
		return err
	}
	err = p.Run(context.Background())
	n.streams.Close()
	return errors.Join(err, h.Close())
}
