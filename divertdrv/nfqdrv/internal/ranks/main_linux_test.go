package ranks

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test binary another process with a registry: it says what it did and waits for the end of its input.
const (
	childEnv = "WEIR_RANKS_CHILD"
	childKey = 1<<62 + 12345 // of nobody else
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func child() {
	r, err := Open()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	rank, _ := r.Next(7)
	fmt.Printf("%d %v\n", rank, r.Add(childKey, rank))
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_ = r.Close()
}
