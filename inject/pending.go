package inject

import (
	"fmt"
	"time"
)

// put counts an injection from before it starts until done, if any, returned. refused is called instead, once the injector is
// closing.
func (j *Injector) put(inject func() error, refused func(), done func(error)) (err error) {
	if !j.enter() {
		refused()
		return ErrClosing
	}
	defer func() { j.leave(err) }()
	if err = tooBig(inject()); err == nil && done != nil {
		done(nil)
	}
	return err
}

func (j *Injector) enter() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return false
	}
	j.stats.Injected++
	j.stats.Pending++
	return true
}

func (j *Injector) leave(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Pending--
	if err == nil {
		j.stats.Completed++
	} else {
		j.stats.Failed++
	}
	if j.stats.Pending == 0 {
		j.idle.Broadcast()
	}
}

// Stats returns a snapshot.
func (j *Injector) Stats() Stats {
	j.mu.Lock()
	s := j.stats
	j.mu.Unlock()
	s.Refused, s.Realigned = j.refused.Load(), j.realigned.Load()
	s.Returned, s.LoopsBroken = j.returned.Load(), j.broken.Load()
	s.StaleChecksums, s.InlineTCP, s.Misaligned = j.watch.count[StaleChecksum].Load(), j.watch.count[InlineTCP].Load(), j.watch.count[Misaligned].Load()
	s.Cut, s.Clamped, s.Answered = j.trim.cut.Load(), j.trim.clamped.Load(), j.trim.answered.Load()
	return s
}

// Close refuses further injections and waits until all pending ones completed and their Done returned, or for the deadline:
// ErrPending. Called from a Done it waits for itself.
func (j *Injector) Close(deadline time.Duration) error {
	timer := j.clock.AfterFunc(deadline, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.idle.Broadcast()
	})
	defer timer.Stop()
	end := j.clock.Now().Add(deadline)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	for j.stats.Pending > 0 {
		if !j.clock.Now().Before(end) {
			return fmt.Errorf("%w: %d after %v", ErrPending, j.stats.Pending, deadline)
		}
		j.idle.Wait()
	}
	return nil
}
