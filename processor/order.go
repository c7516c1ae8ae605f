package processor

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject/dpc"
)

// How order within a flow is kept. Work that a flow defers, packets that a callout holds, and packets that arrive while there is
// either, are jobs in the flow's list, in the order of arrival. Each flow has a home queue; the queue's DPC runs the jobs of its
// flows, each flow's from the head until it meets a held packet that was not released yet.
//
// A worker collects the jobs of a batch and submits them when the batch was completed, so that nothing overtakes what passed
// before it.

// jobsPerCall bounds one run of a DPC; with more to do it queues itself again, as DPC routines should.
const jobsPerCall = 64

// order is the home queues of all flows of a processor.
type order struct {
	pool   *dpc.Pool
	queues []*flowQueue
	seed   uint64
	room   atomic.Int64 // jobs that may still be made
}

type flowQueue struct {
	order  *order
	number int
	dpc    *dpc.DPC

	mu    sync.Mutex // guards all below, and jobs and ready of the flows that live here
	ready []*Flow
}

// job is one entry of a flow's list.
type job struct {
	flow *Flow
	run  func()
	wait *atomic.Bool // not nil: a held packet; until true the list stops here
	next *job
}

type jobList struct{ head, tail *job }

func newOrder(depth, queues int) *order {
	o := &order{seed: rand.Uint64()}
	o.room.Store(int64(depth))
	for i := range min(queues, dpc.MaxQueues) {
		q := &flowQueue{order: o, number: i}
		q.dpc = dpc.New(func(_, _ any) { q.drain() })
		// Ordinary importance would leave a DPC of another processor's queue until the next tick.
		q.dpc.SetImportance(dpc.MediumHigh)
		q.dpc.SetTarget(i)
		o.queues = append(o.queues, q)
	}
	return o
}

// start starts the queues; before it nothing may be submitted.
func (o *order) start() (err error) {
	o.pool, err = dpc.NewPool(dpc.Config{Queues: len(o.queues), NoThreaded: true, Single: -1, OnReport: mind})
	return err
}

// mind lets misuse of a batch go through the pool's containment: packets would be lost in silence.
func mind(r dpc.Report) {
	if m, ok := r.Value.(divertdrv.Misuse); ok && r.Kind == dpc.Panic {
		panic(m)
	}
}

// home is the queue of a flow, by the hash of its key with the order's seed.
func (o *order) home(hash uint64) *flowQueue { return o.queues[hash>>32%uint64(len(o.queues))] }

// reserve takes room for one job; false: there is none.
func (o *order) reserve() bool {
	if o.room.Add(-1) < 0 {
		o.room.Add(1)
		return false
	}
	return true
}

// submit puts jobs, for each of which room was reserved and pending counted, at the ends of their flows' lists. No DPC runs
// before all are there, so what runs first does not depend on timing.
func (o *order) submit(jobs []*job) {
	for _, j := range jobs {
		q := j.flow.queue
		q.mu.Lock()
		j.flow.jobs.push(j)
		q.makeReady(j.flow)
		q.mu.Unlock()
	}
	for _, q := range o.queues {
		if q.waits() {
			o.pool.Queue(q.dpc, nil, nil)
		}
	}
}

// release lets a held packet go when it is its turn, and then the list of f go on. The flag is set under the lock: once the job is
// taken off the list the flow's entry may go to another flow, of another queue.
func (q *flowQueue) release(f *Flow, released *atomic.Bool) {
	q.mu.Lock()
	released.Store(true)
	q.makeReady(f)
	q.mu.Unlock()
	q.order.pool.Queue(q.dpc, nil, nil)
}

// makeReady needs q.mu.
func (q *flowQueue) makeReady(f *Flow) {
	if !f.ready && f.jobs.runnable() {
		f.ready = true
		q.ready = append(q.ready, f)
	}
}

// drain is the DPC's routine.
func (q *flowQueue) drain() {
	for range jobsPerCall {
		j := q.next()
		if j == nil {
			return
		}
		j.run()
		q.order.room.Add(1)
		j.flow.pending.Add(-1) // from here on the flow may be another
	}
	q.order.pool.Queue(q.dpc, nil, nil)
}

// next takes the job that is to run now; nil: there is none. The flow leaves ready with its last job that can run.
func (q *flowQueue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		return nil
	}
	f := q.ready[0]
	j := f.jobs.pop()
	if !f.jobs.runnable() {
		f.ready = false
		q.ready = slices.Delete(q.ready, 0, 1)
	}
	return j
}

// settle waits until all jobs that were submitted, and can run, have run.
func (o *order) settle(ctx context.Context) error {
	for {
		if err := o.pool.Flush(ctx); err != nil {
			return err
		}
		if o.quiet() {
			return nil
		}
	}
}

func (o *order) quiet() bool { return !slices.ContainsFunc(o.queues, (*flowQueue).waits) }

// waits says that a flow is ready.
func (q *flowQueue) waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready) > 0
}

func (o *order) close(deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return o.pool.Close(ctx)
}

func (l *jobList) push(j *job) {
	if l.head == nil {
		l.head = j
	} else {
		l.tail.next = j
	}
	l.tail = j
}

func (l *jobList) pop() *job {
	j := l.head
	l.head = j.next
	if l.head == nil {
		l.tail = nil
	}
	return j
}

// runnable: there is a job, and it is not a held packet that was not released.
func (l *jobList) runnable() bool {
	return l.head != nil && (l.head.wait == nil || l.head.wait.Load())
}
