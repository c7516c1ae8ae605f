package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the shell is offered: words, and behind the colon cobra's directive (4: no files, 8: files with these endings, 16: directories).
func TestCompletion(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"ch", "check\tSay what is wrong with a policy :4"},
		{"config ", "schema\tPrint the JSON schema of policies show\tShow the settings of a policy, with the origin of each :4"},
		{"run ", "yaml yml :8"},
		{"run p.yaml ", ":4"},
		{"check ", "yaml yml :8"},
		{"run p.yaml --driver ", "auto windivert nfqueue sim pcap :4"},
		{"run p.yaml --log-level ", "debug info warn error :4"},
		{"run p.yaml -r ", "pcap pcapng cap gz :8"},
		{"config show p.yaml --driver n", "auto windivert nfqueue sim pcap :4"},
		{"run p.yaml --allow-write ", ":16"},
	} {
		args := append([]string{"__complete"}, strings.Split(c.line, " ")...)
		o := weir(t, "", args...)
		if got := strings.Join(strings.Split(strings.TrimSpace(o.out), "\n"), " "); got != c.want {
			t.Errorf("%q: offered %q, want %q", c.line, got, c.want)
		}
	}
}

// The scripts are ones that their shells can read, and bash's offers what the program says.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		o := weir(t, "", "completion", shell)
		if o.status != exitDone || !strings.Contains(o.out, "weir") {
			t.Errorf("%s: %+v", shell, o)
		}
		if path, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			script := tempFile(t, "weir."+shell, o.out)
			if out, err := exec.Command(path, "-n", script).CombinedOutput(); err != nil {
				t.Errorf("%s does not read its script: %v %s", shell, err, out)
			}
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		required(t, "bash is needed to complete as it does: %v", err)
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "weir")); err != nil {
		t.Skipf("no symlinks here: %v", err)
	}
	script := tempFile(t, "weir.bash", weir(t, "", "completion", "bash").out)
	cmd := exec.Command(bash, "--norc", "-c", `source "$1"
_get_comp_words_by_ref() { cur=--dri; prev=policy.yaml; words=(weir run policy.yaml --dri); cword=3; }
__ltrim_colon_completions() { :; }
compopt() { :; }
COMP_TYPE=9 __start_weir
printf '%s\n' "${COMPREPLY[@]}"`, "bash", script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "--driver" {
		t.Errorf("bash offers %q, %v", out, err)
	}
}
