package nfqueue

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/weirnet/weir/internal/netns"
)

// iptables finds the program by which peers' users divert.
func iptables(six bool) (string, error) {
	names := []string{"iptables-nft", "iptables"}
	if six {
		names = []string{"ip6tables-nft", "ip6tables"}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no iptables to divert with (Debian: apt-get install iptables)")
}

// divert has the router send all that it forwards to Queue, as long as the lab is there. Where nobody has bound it, all goes on.
func (l *lab) divert() error {
	path, err := iptables(l.at.six())
	if err != nil {
		return err
	}
	return netns.Do(l.router, func() error {
		rule := exec.Command(path, "-w", "-t", "mangle", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", strconv.Itoa(Queue), "--queue-bypass")
		if out, err := rule.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", path, err, out)
		}
		return nil
	})
}
