//go:build !linux

package pcapdrv_test

import "errors"

func makePipe(string) error { return errors.New("named pipes are tested on Linux") }
