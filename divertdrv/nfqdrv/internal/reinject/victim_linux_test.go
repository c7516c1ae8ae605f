package reinject

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/nettest"
)

const victimEnv = "WEIR_REINJECT_VICTIM"

// A victim is this test's program again, as another process: with an injector open, to be killed or bereft of a capability.
type victim struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  string // "open", or why it could not
}

// beVictim opens, injects what its arguments say (index, packet), says so, and closes when its standard input ends.
func beVictim(args []string) {
	in, err := Open(Config{Inbound: true, Source: source, Namespace: -1})
	if err == nil && len(args) == 2 {
		index, _ := strconv.Atoi(args[0])
		data, _ := hex.DecodeString(args[1])
		_, err = in.Inject(packets(inboundOn(index), data))
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := in.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// startVictim starts one in a namespace, without a capability unless that is negative, and waits for its word.
func startVictim(t testing.TB, ns *nettest.Namespace, without int, args ...string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command(os.Args[0])}
	v.cmd.Env = append(os.Environ(), victimEnv+"="+strings.Join(append([]string{"victim"}, args...), " "))
	v.cmd.Stderr = os.Stderr
	stdout, err := v.cmd.StdoutPipe()
	if err == nil {
		v.stdin, err = v.cmd.StdinPipe()
	}
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { // its thread loses the capability for good, and so ends with it
		runtime.LockOSThread()
		if without >= 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(without), 0, 0, 0); err != nil {
				started <- err
				return
			}
		}
		err := unix.Setns(ns.FD(), unix.CLONE_NEWNET)
		if err == nil {
			err = v.cmd.Start()
		}
		started <- err
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	v.said = strings.TrimSpace(line)
	return v
}

func (v *victim) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
}

func (v *victim) finish() {
	v.t.Helper()
	v.stdin.Close()
	if err := v.cmd.Wait(); err != nil {
		v.t.Error(err)
	}
}
