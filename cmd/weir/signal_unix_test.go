//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program starts this test binary as weir and returns it once it has logged that it is running.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, out *bytes.Buffer, log *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd, out = exec.Command(self, args...), &bytes.Buffer{}
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout = out
	complaints, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	log = bufio.NewScanner(complaints)
	await(t, log, "running")
	return cmd, out, log
}

// await reads the log up to a line with word.
func await(t *testing.T, log *bufio.Scanner, word string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), word) {
			return
		}
	}
	t.Fatalf("the log ended before %q", word)
}

// The first signal drains, whichever it is, and the result is whole.
func TestSignalDrains(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, out, log := program(t, "run", "true", "--packets", "0", "--json")
			time.Sleep(20 * time.Millisecond) // let some packets run; none would do too
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			await(t, log, "draining")
			if !strings.Contains(log.Text(), sig.String()) {
				t.Errorf("the log does not name the signal: %s", log.Text())
			}
			await(t, log, "stopped")
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v, want status 0", err)
			}
			if r := decode(t, out.String()); r.Received != r.Passed {
				t.Errorf("received %d, passed %d", r.Received, r.Passed)
			}
		})
	}
}

// A pipe that has nothing more to say does not keep the program from ending.
func TestSignalEndsWaitingForStdin(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	whole, err := os.ReadFile(captures + "dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(whole[:len(whole)-10]); err != nil { // it ends in the middle of a frame
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "run", "true", "-r", "-", "--json", "--timeout", "200ms")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = r
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, string(out)); got.Received != 23 {
		t.Errorf("received %d, want the 23 that were whole", got.Received)
	}
}

// When draining takes too long for the user, a second signal ends the program at once. Here it takes long because the program
// waits for a named pipe, if it came to wait before the first signal; else it ends by itself, and the test tries again.
func TestSecondSignalEnds(t *testing.T) {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		err := signalTwice(t, wait)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT {
			return
		}
		if err != nil || wait > 10*time.Second {
			t.Fatalf("%v, want the end by an interrupt", err)
		}
	}
}

// signalTwice runs the program on a pipe that says nothing, and returns how it ended.
func signalTwice(t *testing.T, wait time.Duration) error {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	silent, err := os.OpenFile(fifo, os.O_RDWR, 0) // read and write: opening does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	whole, err := os.ReadFile(captures + "dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Write(whole[:24]); err != nil { // the file header
		t.Fatal(err)
	}
	cmd, _, log := program(t, "run", "true", "-r", fifo)
	time.Sleep(wait)
	_ = cmd.Process.Signal(syscall.SIGINT)
	await(t, log, "draining")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for log.Scan() { // to its end
		}
	}()
	for {
		select {
		case <-ended:
			return cmd.Wait()
		case <-time.After(5 * time.Millisecond): // the first signal's handler is given up a moment after "draining" is said
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}
