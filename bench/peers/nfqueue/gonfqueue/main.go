// Command gonfqueue is a program under test of bench/nfqueue: the loop that people write with github.com/florianl/go-nfqueue/v2, as its
// example shows it (readme), and with all that its interface offers for speed (tuned).
//
//	gonfqueue readme|tuned QUEUE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "readme" && args[0] != "tuned" {
		return fmt.Errorf("usage: gonfqueue readme|tuned QUEUE")
	}
	number, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	open := readme
	if args[0] == "tuned" {
		open = tuned
	}
	queue, err := open(uint16(number))
	if err != nil {
		return err
	}
	return loop(ctx, queue)
}

// readme opens the queue as the package's example does.
func readme(number uint16) (*nfqueue.Nfqueue, error) {
	q, err := nfqueue.Open(&nfqueue.Config{
		NfQueue: number, MaxPacketLen: 0xFFFF, MaxQueueLen: 0xFF, Copymode: nfqueue.NfQnlCopyPacket, WriteTimeout: 15 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return q, q.SetOption(netlink.NoENOBUFS, true)
}

// tuned keeps super-packets whole, has room for a flood, sets no deadline for each verdict, and collects garbage less often.
func tuned(number uint16) (*nfqueue.Nfqueue, error) {
	debug.SetGCPercent(800)
	q, err := nfqueue.Open(&nfqueue.Config{
		NfQueue: number, MaxPacketLen: 0xFFFF, MaxQueueLen: 16384, Copymode: nfqueue.NfQnlCopyPacket, Flags: nfqueue.NfQaCfgFlagGSO,
	})
	if err != nil {
		return nil, err
	}
	for _, set := range []func() error{
		func() error { return q.SetOption(netlink.NoENOBUFS, true) },
		func() error { return q.Con.SetReadBuffer(64 << 20) },
		func() error { return q.Con.SetWriteBuffer(4 << 20) },
	} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// tally is what the program says at its end.
type tally struct {
	Received uint64            `json:"received"`
	Passed   uint64            `json:"passed"`
	Lost     map[string]uint64 `json:"lost"`
}

// loop accepts every packet, one by one. As the example it does not look at errors of verdicts, but counts them; it does not print.
func loop(ctx context.Context, q *nfqueue.Nfqueue) error {
	t := tally{Lost: map[string]uint64{}}
	var failed error
	err := q.RegisterWithErrorFunc(ctx, func(a nfqueue.Attribute) int {
		t.Received++
		if err := q.SetVerdict(*a.PacketID, nfqueue.NfAccept); err != nil {
			t.Lost["verdict not sent"]++
		} else {
			t.Passed++
		}
		return 0
	}, func(err error) int {
		if ctx.Err() == nil {
			failed = err
		}
		return -1
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	if err := q.Close(); err != nil { // waits for the loop
		return err
	}
	if failed != nil {
		return failed
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}
