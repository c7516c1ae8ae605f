package simdrv

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A real TCP at both ends (gvisor's netstack), and between them two hosts whose wire loses one packet in twenty, reorders, duplicates and
// damages; on one host a handle that holds, one that delays and one that translates ports and masks payload, on the other one that
// unmasks it. Every transfer arrives intact in both directions, and every packet is accounted for. The faults are repeatable by the seed
// in the subtest's name, TCP's goroutines are not.
//
// WEIR_LONG=1 makes it 2000 transfers for each seed instead of 100.
func TestTransfers(t *testing.T) {
	transfers := 100
	if os.Getenv("WEIR_LONG") != "" {
		transfers = 2000
	}
	for seed := uint64(1); seed <= 5; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			start := time.Now()
			w := newWorld(t, seed)
			w.serve()
			moved := w.transfer(seed, transfers)
			passed := w.clock.Now().Sub(pipeStart)
			w.close()
			w.accounts(transfers)
			t.Logf("%d transfers, %d bytes each way, %v on the virtual clock, %v on ours", transfers, moved, passed, time.Since(start))
			t.Logf("there %+v", w.link.There.Stats())
			t.Logf("back %+v", w.link.Back.Stats())
			t.Logf("client %+v, held %d, delayed %d, translated %d, unmasked %d",
				w.near.Stats(), w.held.Load(), w.delays.total, w.translated.Load(), w.unmasked.Load())
		})
	}
}

// inParallel is how many transfers are on at once.
const inParallel = 50

// transfer has clients send data that the server sends back, and returns how much.
func (w *world) transfer(seed uint64, transfers int) (moved int64) {
	var all sync.WaitGroup
	var total atomic.Int64
	next := make(chan uint64)
	for range inParallel {
		all.Go(func() {
			for n := range next {
				data := content(seed, n)
				if err := w.exchange(data); err != nil {
					w.t.Errorf("transfer %d of %d bytes: %v", n, len(data), err)
				}
				total.Add(int64(len(data)))
			}
		})
	}
	for n := range transfers {
		next <- uint64(n)
	}
	close(next)
	all.Wait()
	return total.Load()
}

// content is 1 to 32,768 bytes, few of them long.
func content(seed, n uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, n))
	data := make([]byte, 1+rng.IntN(1<<rng.IntN(16)))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

func (w *world) exchange(data []byte) error {
	c, err := w.near.Dial(w.t.Context(), service)
	if err != nil {
		return err
	}
	defer c.Close()
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		if err == nil {
			err = c.(interface{ CloseWrite() error }).CloseWrite()
		}
		wrote <- err
	}()
	back, err := io.ReadAll(c)
	if err == nil {
		err = <-wrote
	}
	if err == nil && sha256.Sum256(back) != sha256.Sum256(data) {
		err = fmt.Errorf("%d bytes came back, of another sha256", len(back))
	}
	return err
}

// serve answers every connection with what it was sent, once that is complete.
func (w *world) serve() {
	var err error
	w.listener, err = w.far.Listen(translatedService)
	must(w.t, err)
	w.serving.Go(func() {
		for {
			c, err := w.listener.Accept()
			if err != nil {
				return
			}
			w.serving.Go(func() { w.echo(c) })
		}
	})
}

func (w *world) echo(c net.Conn) {
	defer c.Close()
	data, err := io.ReadAll(c)
	if err == nil {
		_, err = c.Write(data)
	}
	if err != nil {
		w.t.Errorf("server: %v", err)
	}
}
