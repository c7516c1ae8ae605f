package rules

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test binary another process with a table that drops all that the namespace sends, in which it runs: the
// variable holds the priority, and "closed" behind it asks for FailClosed. It ends with its input.
const childEnv = "WEIR_RULES_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(childEnv); how != "" {
		child(how)
		return
	}
	goleak.VerifyTestMain(m)
}

func child(how string) {
	var priority string
	_, _ = fmt.Sscan(how, &priority)
	p, err := strconv.Atoi(priority)
	var t *Table
	if err == nil {
		t, err = Open(Config{Namespace: -1, Priority: int16(p), Hooks: []Hook{Output}, FailClosed: how != priority})
	}
	if err == nil {
		err = t.Set([]Rule{{Hook: Output, Action: Drop}})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(t.Name())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if err := t.Close(); err != nil {
		fmt.Println(err)
	}
}
