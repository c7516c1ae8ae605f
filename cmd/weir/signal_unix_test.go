//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
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

// The same for a named pipe.
func TestSignalEndsWaitingForAPipe(t *testing.T) {
	silent, name := fifo(t)
	whole, err := os.ReadFile(captures + "dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Write(whole[:len(whole)-10]); err != nil {
		t.Fatal(err)
	}
	cmd, out, log := program(t, "run", "true", "-r", name, "--json", "--timeout", "200ms")
	await(t, log, "stopped")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := decode(t, out.String()); got.Received != 23 {
		t.Errorf("received %d, want the 23 that were whole", got.Received)
	}
}

// When draining takes too long for the user, a second signal ends the program at once. Here it takes for ever, since nobody reads
// the named pipe that is written to.
func TestSecondSignalEnds(t *testing.T) {
	full, name := fifo(t)
	if err := fill(full); err != nil {
		t.Fatal(err)
	}
	cmd, _, log := program(t, "run", "true", "-r", captures+"iperf3.pcap", "-w", name)
	_ = cmd.Process.Signal(syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for log.Scan() { // to its end
		}
	}()
	for {
		select {
		case <-ended:
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Fatalf("%v, want the end by an interrupt", err)
			}
			return
		case <-time.After(5 * time.Millisecond): // the first signal's handler is given up a moment after it was taken
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}

// fifo makes a named pipe, open for both so that opening it again does not wait.
func fifo(t *testing.T) (f *os.File, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, name
}

// fill writes to a pipe until it takes no more.
func fill(f *os.File) error {
	for {
		_ = f.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// A log that cannot be written, as on a full disk, stops no packet and spoils no result; a result that cannot is an error.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no device that is always full: %v", err)
	}
	defer full.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(out, log io.Writer) error {
		cmd := exec.Command(self, "run", "../../examples/quickstart.yaml", "--json")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Stdout, cmd.Stderr = out, log
		return cmd.Run()
	}
	var out, log bytes.Buffer
	if err := run(&out, full); err != nil {
		t.Errorf("with a full log: %v", err)
	}
	if r := decode(t, out.String()); r.Received == 0 || r.Conserved() != nil {
		t.Errorf("with a full log: %s", r.Law())
	}
	var status *exec.ExitError
	if err := run(full, &log); !errors.As(err, &status) || status.ExitCode() != 1 || !strings.Contains(log.String(), "no space left") {
		t.Errorf("with a full output: %v, want status 1; the log is %s", err, &log)
	}
}
