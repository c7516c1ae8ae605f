package doctor

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/nettest"
)

// patientEnv makes the test's program a patient that prints its report.
const patientEnv = "WEIR_DOCTOR_PATIENT"

func TestMain(m *testing.M) {
	if os.Getenv(patientEnv) != "" {
		_ = json.NewEncoder(os.Stdout).Encode(Examine())
		return
	}
	goleak.VerifyTestMain(m)
}

// patient examines in a process that has not got a capability.
func patient(t *testing.T, without uintptr) (r Report) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), patientEnv+"=1")
	cmd.Stderr = os.Stderr
	var out []byte
	done := make(chan error)
	go func() { // its thread loses the capability for good, and so ends with it
		runtime.LockOSThread()
		err := unix.Prctl(unix.PR_CAPBSET_DROP, without, 0, 0, 0)
		if err == nil {
			out, err = cmd.Output()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return r
}

func (r *Report) find(name string) Finding {
	for _, f := range r.Findings {
		if f.Name == name {
			return f
		}
	}
	return Finding{}
}

// With all privileges, packets can be diverted where these tests run; each capability that lacks is a failure that names it, and
// what was tried fails too. CAP_SYS_ADMIN is the one to do without.
func TestCapabilities(t *testing.T) {
	nettest.Need(t, nettest.Root)
	if r := Examine(); !r.OK {
		t.Errorf("not here: %+v", r)
	}
	for name, c := range map[string]struct {
		bit     uintptr
		feature string
	}{
		"CAP_NET_ADMIN": {unix.CAP_NET_ADMIN, "packet queue"},
		"CAP_NET_RAW":   {unix.CAP_NET_RAW, "outbound injection"},
	} {
		r := patient(t, c.bit)
		if r.OK || r.find(name).State != Fail || !strings.Contains(r.find(name).Remedy, name) || r.find(c.feature).State != Fail {
			t.Errorf("without %s: ok %v, %+v, %+v", name, r.OK, r.find(name), r.find(c.feature))
		}
	}
	r := patient(t, unix.CAP_SYS_ADMIN)
	if f := r.find("CAP_SYS_ADMIN"); !r.OK || f.State != Warn || f.Remedy == "" {
		t.Errorf("without CAP_SYS_ADMIN: %+v", r)
	}
}

func TestJudge(t *testing.T) {
	all := ^uint64(0)
	for name, c := range map[string]struct {
		held uint64
		want []State
	}{
		"all":           {all, []State{OK, OK, OK, OK, OK}},
		"none":          {0, []State{Fail, Fail, Fail, Warn, Warn}},
		"before 5.8":    {all &^ (1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON), []State{OK, OK, OK, OK, OK}},
		"no SYS_ADMIN":  {all &^ (1 << unix.CAP_SYS_ADMIN), []State{OK, OK, OK, OK, Warn}},
		"only networks": {1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW, []State{OK, OK, Fail, Warn, Warn}},
	} {
		for i, f := range judge(c.held, 1000) {
			if f.State != c.want[i] || (f.State != OK) != (f.Cost != "" && f.Remedy != "") {
				t.Errorf("%s: %+v, want %s", name, f, c.want[i])
			}
		}
	}
}

func TestFeature(t *testing.T) {
	lack := errors.New("ENOENT")
	for _, c := range []struct {
		f    nfqdrv.Feature
		want State
	}{
		{nfqdrv.Feature{Name: "x", Need: true}, OK},
		{nfqdrv.Feature{Name: "x"}, OK},
		{nfqdrv.Feature{Name: "x", Need: true, Err: lack}, Fail},
		{nfqdrv.Feature{Name: "x", Err: lack}, Warn},
	} {
		if got := feature(c.f); got.State != c.want || (c.want != OK) != strings.Contains(got.Detail, "ENOENT") {
			t.Errorf("%+v: %+v", c.f, got)
		}
	}
}

// The kernel's own table: a queue that this process binds is found, with the process.
func TestQueuesLive(t *testing.T) {
	nettest.Need(t, nettest.Root)
	ns := nettest.NewNamespace(t)
	ask := func() (found []Finding) {
		ns.Do(func() { found = queues() })
		return found
	}
	if f := ask(); len(f) != 1 || f[0].State != Info {
		t.Errorf("nobody: %+v", f)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := netlink.Attrs{unix.AF_UNSPEC, 0, 0x12, 0x34}
	body.Bytes(1, []byte{1, 0, 0, 0}) // NFQA_CFG_CMD: bind
	if err := conn.Do(netlink.Message{Type: 3<<8 | 2, Flags: unix.NLM_F_ACK, Body: body}); err != nil {
		nettest.Lacks(t, err)
	}
	f := ask()
	if len(f) != 1 || f[0].Name != "queue 4660" || !strings.Contains(f[0].Detail, "(pid "+strconv.Itoa(os.Getpid())+")") {
		t.Errorf("ours: %+v", f)
	}
}

// A made-up /proc: losses warn, owners that cannot be seen are said to be so.
func TestQueuesRead(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if f := queuesIn(root); len(f) != 1 || f[0].State != Warn || f[0].Remedy == "" {
		t.Errorf("no table: %+v", f)
	}
	write("thread-self/net/netfilter/nfnetlink_queue", "    7   1234     3 2 65535     0     0     55  1\n    8  -5678     0 2 65535     4     5     55  1\nodd\n")
	write("thread-self/net/netlink", "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"+
		"0 12  1234 00000000 0 0 0 2 0 777\n0 0 4294961618 00000000 0 0 0 2 0 778\n")
	write("42/comm", "weir\n")
	write("42/fd/none", "")
	if err := os.Symlink("socket:[777]", filepath.Join(root, "42/fd/3")); err != nil {
		t.Fatal(err)
	}
	f := queuesIn(root)
	if len(f) != 2 {
		t.Fatalf("%+v", f)
	}
	if f[0].Name != "queue 7" || f[0].State != Info || f[0].Detail != "held by weir (pid 42); 3 waiting, lost 0 (full) and 0 (no memory)" {
		t.Errorf("%+v", f[0])
	}
	if f[1].State != Warn || f[1].Remedy == "" || !strings.Contains(f[1].Detail, "netlink port 4294961618") || !strings.Contains(f[1].Detail, "lost 4 (full) and 5") {
		t.Errorf("%+v", f[1])
	}
}

func FuzzParseQueue(f *testing.F) {
	f.Add("    7   1234     3 2 65535     0     0     55  1")
	f.Add("8 -5678 0 2 65535 4 5")
	f.Add("")
	f.Fuzz(func(t *testing.T, line string) {
		if q, ok := parseQueue(line); ok && q.finding(nil).Name == "" {
			t.Error("a queue without a name")
		}
	})
}

func TestFragments(t *testing.T) {
	for _, c := range []struct {
		f    Finding
		want string
	}{
		{joinedFinding(nil), "no: "},
		{joinedFinding([]string{"IPv4", "IPv6"}), "IPv4 and IPv6: "},
		{tracking([]byte("entries  searched\n00000007  00000000 \n"), nil), "probably, "},
		{tracking([]byte("entries  searched\n00000000  00000000 \n"), nil), "probably not, "},
		{tracking([]byte("entries  searched\n"), nil), "probably not, "},
		{tracking(nil, os.ErrNotExist), "cannot be told"},
	} {
		if c.f.State != Info || !strings.HasPrefix(c.f.Detail, c.want) {
			t.Errorf("%+v, want %s…", c.f, c.want)
		}
	}
	if f := fragments(); len(f) != 1 || f[0].Detail == "" {
		t.Errorf("here: %+v", f)
	}
}

// An examination leaves nothing behind: neither device nor rule nor descriptor.
func TestExamineLeavesNothing(t *testing.T) {
	nettest.Need(t, nettest.Root)
	look := func() (s string) {
		devices, err := os.ReadFile("/proc/net/dev")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(devices)) {
			s += strings.SplitN(line, ":", 2)[0] + "\n"
		}
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return s + strconv.Itoa(len(fds)) + " descriptors"
	}
	Examine()
	before := look()
	for range 3 {
		Examine()
	}
	if after := look(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}
