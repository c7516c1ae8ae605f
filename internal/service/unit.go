package service

import (
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// The unit of the usual places is in the repository, to be read and packaged.
//go:generate sh -c "GOOS=linux go run ../../cmd/weir service install /etc/weir/policy.yaml --program /usr/local/bin/weir --dry-run > ../../deploy/weir.service"

//go:embed weir.service.tmpl
var unitText string

var unitTemplate = template.Must(template.New("unit").Parse(unitText))

// unitMark is the beginning of every unit that Unit wrote.
var unitMark, _, _ = strings.Cut(unitText, ",")

// capabilities that the service has; the last is for running beside another program that diverts, and other network namespaces.
var capabilities = []string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"}

// hidden are folders that the unit's sandbox takes away.
var hidden = []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev"}

// Unit returns the systemd unit of a service.
func Unit(s Spec) (string, error) {
	if err := s.check(func(p string) bool { return strings.HasPrefix(p, "/") }); err != nil {
		return "", err
	}
	for _, p := range []string{s.Program, s.Policy} {
		for _, dir := range hidden {
			if strings.HasPrefix(filepath.ToSlash(filepath.Clean(p))+"/", dir+"/") {
				return "", fmt.Errorf("%s: a service cannot see what is below %s; put the program into /usr/local/bin, and the policy into /etc/weir", p, dir)
			}
		}
	}
	some := capabilities
	if s.Minimal {
		some = some[:len(some)-1]
	}
	words := append([]string{s.Program, "run", s.Policy}, s.Args...)
	quoted := make([]string, len(words))
	for i, w := range words {
		var err error
		if quoted[i], err = quoteWord(w); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	err := unitTemplate.Execute(&b, map[string]string{
		"Start": strings.Join(quoted, " "), "Program": quoted[0], "Capabilities": strings.Join(some, " "),
	})
	return b.String(), err
}

// quoteWord writes a word of a command line as systemd.service(5) reads it: % and $ stand for themselves when they are doubled.
func quoteWord(w string) (string, error) {
	if strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("a word of the command has a control character in it; remove it")
	}
	w = strings.NewReplacer("%", "%%", "$", "$$").Replace(w)
	if w != "" && !strings.ContainsAny(w, " '\"\\;") {
		return w, nil
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`, nil
}
