package divertdrv

import (
	"errors"
	"testing"
)

type noDriver struct{}

var errNone = errors.New("opened by nobody")

func (noDriver) Name() string                                { return "none" }
func (noDriver) Open(*Filter, Layer, *Options) (Conn, error) { return nil, errNone }

func TestNativeDriver(t *testing.T) {
	t.Cleanup(func() { registry.driver = nil })
	if _, err := Open("true", Network, nil); !errors.Is(err, ErrNoDriver) {
		t.Errorf("without one: %v", err)
	}
	RegisterNative(noDriver{})
	_, err := Open("true", Network, nil)
	var op *OpError
	if !errors.Is(err, errNone) || !errors.As(err, &op) || op.Driver != "none" {
		t.Errorf("with one: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second one was registered")
		}
	}()
	RegisterNative(noDriver{})
}
