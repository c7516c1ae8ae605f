package nfqdrv

import (
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/judged"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
)

// Judge, Era, Recall and RecallAll are divertdrv.Handle's; see package judged for how.
func (c *conn) Judge(k divertdrv.FlowKey, era uint64) error { return c.judged.Judge(k, era) }

// Era is asked once for each batch.
func (c *conn) Era() uint64 { return c.judged.Era() }

// Recall takes a judgement back.
func (c *conn) Recall(k divertdrv.FlowKey) error { return c.judged.Recall(k) }

// RecallAll takes all back.
func (c *conn) RecallAll() error { return c.judged.RecallAll() }

// verdicts are those of a queue, of which the table of judged flows is told when the kernel has been.
type verdicts struct {
	*queue.Verdicts
	judged *judged.Table // nil: nobody wants to know
	told   []uint32
}

func (v *verdicts) note(id uint32) {
	if v.judged != nil {
		v.told = append(v.told, id)
	}
}

// Verdict is queue.Verdicts.Verdict.
func (v *verdicts) Verdict(id uint32, accept bool) error {
	v.note(id)
	return v.Verdicts.Verdict(id, accept)
}

// Drop is queue.Verdicts.Drop.
func (v *verdicts) Drop(id uint32) error { return v.Verdict(id, false) }

// Replace is queue.Verdicts.Replace.
func (v *verdicts) Replace(id uint32, data []byte) error {
	v.note(id)
	return v.Verdicts.Replace(id, data)
}

// Flush is queue.Verdicts.Flush. What it could not send waits until the handle is closed, and nothing has to wait for that.
func (v *verdicts) Flush() error {
	err := v.Verdicts.Flush()
	if len(v.told) > 0 {
		v.judged.Done(v.told)
		v.told = v.told[:0]
	}
	return err
}

// mendEvery is how often a handle with judged flows looks whether packets were lost that flows would wait for; see judged.Suspect.
const mendEvery = time.Second

// mender looks. It rests until the first flow is judged.
type mender struct {
	mu    sync.Mutex // guards all; held while it looks
	timer *time.Timer
	over  bool
	lost  uint64 // what the kernel's queue had lost at the last look
}

func (m *mender) start(c *conn) {
	if c.judged == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(mendEvery, c.mend)
}

// stop waits for a look that is under way.
func (m *mender) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	if m.timer != nil {
		m.timer.Stop()
	}
}

func (c *conn) mend() {
	m := &c.mender
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return
	}
	defer m.timer.Reset(mendEvery)
	if c.judged.Stats().Judged == 0 {
		return
	}
	c.judged.Mend()
	s, known := c.queue.Stats()
	lost := s.Full + s.NoMemory
	stuck := c.judged.Stuck()
	if known && (lost != m.lost || stuck) {
		m.lost = lost
		c.judged.Suspect(func() (uint32, bool) {
			settle()
			s, known := c.queue.Stats()
			return uint32(s.LastID), known
		})
		c.judged.Mend()
	}
}
