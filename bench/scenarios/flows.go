package scenarios

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/memdrv"
	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/processor"
)

func flows() bench.Scenario {
	s := bench.Scenario{
		Name: "flows", Op: "one packet of a random flow, from Recv to Complete", Settings: bench.Settings{Procs: 1},
		About: "a processor that follows 1,000 to 1,000,000 flows, packets in random order, ten filters",
	}
	ours := bench.Variant{Name: "weir", About: "processor.Run on a driver in memory", Start: startFlows}
	goMap := bench.Variant{Name: "Go map", Peer: true, About: "only the lookup of wire.FlowKey in a map, without all the rest", Start: startFlowMap}
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("flows", n), Variants: []bench.Variant{ours, goMap}})
	}
	return s
}

// flowSource gives UDP packets whose flow is in their source address.
type flowSource struct {
	addr    *divertdrv.Address
	packets [64][]byte // as many as are under way at a time
	at      int
	order   []uint32 // of flows, random
	next    int
	all     bool // every flow in turn
	flows   uint32
}

// orderLen is how many random flows are drawn beforehand; a run takes them in a circle.
const orderLen = 1 << 20

func newFlowSource(flows int, seed uint64) (*flowSource, error) {
	s := &flowSource{addr: outbound(), order: make([]uint32, orderLen), flows: uint32(flows)}
	r := rand.New(rand.NewPCG(seed, uint64(flows)))
	for i := range s.order {
		s.order[i] = r.Uint32N(s.flows)
	}
	pkt, err := workload.Datagram(32)
	for i := range s.packets {
		s.packets[i] = append([]byte(nil), pkt...)
	}
	return s, err
}

func (s *flowSource) Next() (*divertdrv.Address, []byte) {
	s.at = (s.at + 1) % len(s.packets)
	flow := s.order[s.next%orderLen]
	if s.all {
		flow = uint32(s.next) % s.flows
	}
	s.next++
	pkt := s.packets[s.at]
	binary.BigEndian.PutUint32(pkt[12:], 10<<24|flow)
	return s.addr, pkt
}

func flowCount(env bench.Env) (int, error) {
	n, err := strconv.Atoi(env.Params.Get("flows"))
	if err != nil || n < 1 || n > 1<<24 {
		return 0, fmt.Errorf("flows %q: want a number from 1 to %d", env.Params.Get("flows"), 1<<24)
	}
	return n, nil
}

func startFlows(_ context.Context, env bench.Env) (bench.Trial, error) {
	n, err := flowCount(env)
	if err != nil {
		return bench.Trial{}, err
	}
	texts, _ := workload.MixedFilters(env.Seed, 10)
	policy, err := policyOf(texts, processor.ActionBlock)
	if err != nil {
		return bench.Trial{}, err
	}
	src, err := newFlowSource(n, env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	e, err := newEngine("true", memdrv.Config{Next: src.Next}, processor.Config{Policy: policy, Flows: max(n+n/2, 8192)})
	if err != nil {
		return bench.Trial{}, err
	}
	src.all = true
	if err := e.do((n + 63) / 64 * 64); err != nil {
		return e.fail(err)
	}
	src.all = false
	if got := e.proc.Stats().Flows; got != uint64(n) {
		return e.fail(fmt.Errorf("the processor remembers %d flows, want %d", got, n))
	}
	return bench.Trial{Close: e.close, Run: bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: 60, Do: e.do})}, nil
}

// flowState is as large as what the processor keeps of a flow.
type flowState [128]byte

func startFlowMap(_ context.Context, env bench.Env) (bench.Trial, error) {
	n, err := flowCount(env)
	if err != nil {
		return bench.Trial{}, err
	}
	src, err := newFlowSource(n, env.Seed)
	if err != nil {
		return bench.Trial{}, err
	}
	m := make(map[wire.FlowKey]*flowState, n)
	var h wire.Headers
	look := func() (k wire.FlowKey) {
		_, pkt := src.Next()
		wire.Parse(pkt, &h)
		h.ReadFlow(pkt, &k)
		return k
	}
	src.all = true
	for range n {
		m[look()] = &flowState{1} // written, so that its page is there
	}
	src.all = false
	return bench.Trial{Run: bench.Loop(bench.Work{Packets: 1, Bytes: 60, Do: func(n int) error {
		sum := byte(0)
		for range n {
			sum += m[look()][0]
		}
		runtime.KeepAlive(sum)
		return nil
	}})}, nil
}
