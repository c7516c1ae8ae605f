package inject_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

func flowOf(b []byte) wire.FlowKey {
	var h wire.Headers
	wire.Parse(b, &h)
	k, _, _ := h.Flow(b)
	return k
}

// A callout that keeps an injector can put TCP in past its scope. On Windows it would wait for the lock that it holds itself.
func TestGuardFindsTheBackDoor(t *testing.T) {
	for _, setting := range []inject.Setting{inject.Enforce, inject.Report, inject.Off} {
		var told []string
		guard := inject.NewGuard(time.Millisecond)
		r := newRigWith(t, simdrv.Config{}, inject.Config{
			Guard: guard, Rules: inject.Rules{InlineTCP: setting}, OnViolation: func(v inject.Violation) { told = append(told, v.Error()) },
		})
		b := segment(0, 5, 0, wire.ProtoTCP)
		guard.Lock(flowOf(b)) // a classification runs
		err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), b)})
		guard.Unlock(flowOf(b))
		want := []string{"TCP injection by a back door, from within a classification of its flow: queue it with Defer (TCP locks are held during classify)"}
		if setting == inject.Off {
			want = nil
		}
		if (err != nil) != (setting == inject.Enforce) || err != nil && !errors.Is(err, inject.ErrInlineTCPInjection) {
			t.Errorf("%v: %v", setting, err)
		}
		if len(told) != len(want) || len(want) == 1 && told[0] != want[0] {
			t.Errorf("%v: told %q", setting, told)
		}
		r.close(t)
	}
}

// From another goroutine the same injection merely waits until the classification is over.
func TestGuardLetsOthersWait(t *testing.T) {
	guard := inject.NewGuard(time.Minute)
	r := newRigWith(t, simdrv.Config{}, inject.Config{Guard: guard})
	b, other := segment(0, 5, 0, wire.ProtoTCP), segment(0, 5, 0, wire.ProtoTCP)
	other[20] ^= 1 // of another flow, which nobody classifies
	guard.Lock(flowOf(b))
	if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, other)}); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	go func() { done <- r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), b)}) }()
	select {
	case err := <-done:
		t.Errorf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	guard.Unlock(flowOf(b))
	if err := <-done; err != nil {
		t.Error(err)
	}
	guard.Lock(flowOf(b)) // the injection gave it back
	guard.Unlock(flowOf(b))
	r.close(t)
}

func TestNoGuard(t *testing.T) {
	var none *inject.Guard
	none.Lock(wire.FlowKey{})
	none.Unlock(wire.FlowKey{})
}
