package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Served is a variant of another module, and the scenario that it belongs to.
type Served struct {
	Scenario string
	Variant
}

// request and answer are the lines of the protocol that the package describes.
type request struct {
	Do       string        `json:"do"`
	Scenario string        `json:"scenario,omitempty"`
	Variant  string        `json:"variant,omitempty"`
	Params   Params        `json:"params,omitempty"`
	Seed     uint64        `json:"seed,omitempty"`
	ID       int           `json:"id,omitempty"`
	Time     time.Duration `json:"ns,omitempty"`
	Procs    int           `json:"procs,omitempty"`
}

type answer struct {
	Error    string    `json:"error,omitempty"`
	Unable   string    `json:"unable,omitempty"`
	Version  int       `json:"version,omitempty"` // of the protocol
	Variants []offered `json:"variants,omitempty"`
	ID       int       `json:"id,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Sample   *Sample   `json:"sample,omitempty"`
}

type offered struct {
	Scenario string `json:"scenario"`
	Name     string `json:"name"`
	About    string `json:"about,omitempty"`
}

// protocolVersion changes when a line does.
const protocolVersion = 1

// Serve answers the requests of a parent with these variants, until the input ends. It is all that a program of peers does.
func Serve(ctx context.Context, in io.Reader, out io.Writer, variants []Served) error {
	s := &server{variants: variants, trials: map[int]*startedTrial{}}
	defer s.close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineMax)
	e := json.NewEncoder(out)
	for lines.Scan() {
		var q request
		a := answer{}
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			a.Error = fmt.Sprintf("a line that is no request: %v", err)
		} else if a, err = s.do(ctx, &q); err != nil {
			a.Error = err.Error()
		}
		if err := e.Encode(&a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// lineMax bounds a line, in bytes; a sample with a histogram takes some tens of thousands.
const lineMax = 16 << 20

type server struct {
	variants []Served
	trials   map[int]*startedTrial
	last     int
}

func (s *server) do(ctx context.Context, q *request) (answer, error) {
	switch q.Do {
	case "hello":
		a := answer{Version: protocolVersion}
		for _, v := range s.variants {
			a.Variants = append(a.Variants, offered{v.Scenario, v.Name, v.About})
		}
		return a, nil
	case "start":
		return s.start(ctx, q)
	}
	t := s.trials[q.ID]
	if t == nil {
		return answer{}, fmt.Errorf("%q of trial %d, which is not there", q.Do, q.ID)
	}
	switch q.Do {
	case "run":
		sample, err := t.once(ctx, &Settings{Time: q.Time, Procs: q.Procs})
		return answer{Sample: &sample}, err
	case "close":
		delete(s.trials, q.ID)
		return answer{}, t.end()
	}
	return answer{}, fmt.Errorf("%q is no request", q.Do)
}

func (s *server) start(ctx context.Context, q *request) (answer, error) {
	for _, v := range s.variants {
		if v.Scenario != q.Scenario || v.Name != q.Variant {
			continue
		}
		t, why, err := startVariant(ctx, v.Variant, Env{q.Params, q.Seed})
		if why != "" || err != nil {
			return answer{Unable: why}, err
		}
		s.last++
		s.trials[s.last] = &t
		return answer{ID: s.last, Digest: t.Digest}, nil
	}
	return answer{}, fmt.Errorf("scenario %s has no variant %q here", q.Scenario, q.Variant)
}

func (s *server) close() {
	for _, t := range s.trials {
		_ = t.end() // the parent is gone
	}
	runtime.GC()
}

// end ends a trial.
func (t *Trial) end() error {
	if t.Close == nil {
		return nil
	}
	return t.Close()
}

var errPeersGone = errors.New("the program of peers ended")
