package nfqueue

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/weirnet/weir/internal/netns"
)

// Queue is the number of the queue that peers bind.
const Queue = 77

// iptables finds the program by which peers' users divert.
func iptables() (string, error) {
	for _, name := range []string{"iptables-nft", "iptables"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no iptables to divert with (Debian: apt-get install iptables)")
}

// divert has the router send all that it forwards to Queue; back undoes it.
func (l *lab) divert() (back func() error, err error) {
	path, err := iptables()
	if err != nil {
		return nil, err
	}
	run := func(what string) error {
		return netns.Do(l.router, func() error {
			out, err := exec.Command(path, "-w", "-t", "mangle", what, "FORWARD", "-j", "NFQUEUE", "--queue-num", strconv.Itoa(Queue)).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", path, err, out)
			}
			return nil
		})
	}
	return func() error { return run("-D") }, run("-A")
}
