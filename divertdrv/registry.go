package divertdrv

import "sync"

var registry struct {
	sync.Mutex // guards driver
	driver     Driver
}

// RegisterNative makes d the driver that Open uses when Options name none. divertdrv/native calls it with the platform's own
// driver; it panics when there is one already, since two would be chosen between by import order.
func RegisterNative(d Driver) {
	registry.Lock()
	defer registry.Unlock()
	if registry.driver != nil {
		panic("divertdrv: native driver " + registry.driver.Name() + " is registered already")
	}
	registry.driver = d
}

func native() Driver {
	registry.Lock()
	defer registry.Unlock()
	return registry.driver
}
