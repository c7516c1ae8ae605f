package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// Batch commands read lines of columns between tabs and answer each line with one line, in order, whatever the line is.

const (
	batchLineMax  = 4 << 20 // bytes; a packet of 65,575 bytes is 131,150 in hexadecimal
	batchComplain = 10      // malformed lines that are told of one by one

	// answerBad is the answer to a line that is not of the form asked for. The other codes are those of filter.Code.
	answerBad = "error bad-input 0"
)

// answerLines answers every line of in. The error counts the lines that answer refused, which were answered with answerBad and
// told of on complaints.
func answerLines(in io.Reader, out, complaints io.Writer, answer func(line []byte) (string, error)) error {
	r := &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
	w := bufio.NewWriterSize(out, 64<<10)
	lines, malformed := 0, 0
	for {
		line, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, errLineTooLong) {
			return errors.Join(err, w.Flush())
		}
		lines++
		said := answerBad
		if err == nil {
			said, err = answer(line)
		}
		if err != nil {
			if malformed++; malformed <= batchComplain {
				fmt.Fprintf(complaints, "weir: line %d: %v\n", lines, err)
			}
			said = answerBad
		}
		if _, err := w.WriteString(said + "\n"); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if malformed > 0 {
		return fmt.Errorf("%d of %d lines are malformed; they were answered with %q", malformed, lines, answerBad)
	}
	return nil
}

var errLineTooLong = fmt.Errorf("the line is longer than %d bytes", batchLineMax)

// lineReader reads lines of up to batchLineMax bytes.
type lineReader struct {
	in   *bufio.Reader
	line []byte
}

// next returns the next line without its end; valid until the next call. errLineTooLong: it was skipped.
func (r *lineReader) next() ([]byte, error) {
	r.line = r.line[:0]
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.line)+len(part) > batchLineMax {
			tooLong = true
		} else {
			r.line = append(r.line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(r.line) == 0 && !tooLong:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		case tooLong:
			return nil, errLineTooLong
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(r.line, []byte("\n")), []byte("\r")), nil
	}
}

// programsMax bounds the compiled filters that a batch remembers.
const programsMax = 1024

// programs compiles the filters of a batch, where the same one often stands in many lines.
type programs struct {
	language []filter.Option
	known    map[string]compiled // by "LAYER⇥FILTER"
}

type compiled struct {
	prog *filter.Program
	err  error // what is wrong with the filter
}

// get compiles the filter of "LAYER⇥FILTER". The error is about the form of the text only.
func (p *programs) get(text []byte) (compiled, error) {
	if c, ok := p.known[string(text)]; ok {
		return c, nil
	}
	layer, src, ok := bytes.Cut(text, []byte("\t"))
	if !ok {
		return compiled{}, errors.New("no tab between layer and filter")
	}
	l, err := addr.ParseLayer(string(layer))
	if err != nil {
		return compiled{}, err
	}
	var c compiled
	c.prog, c.err = filter.Parse(string(src), l, p.language...)
	if p.known == nil || len(p.known) >= programsMax {
		p.known = make(map[string]compiled)
	}
	p.known[string(text)] = c
	return c, nil
}

// answerError is the answer for a text that is no filter: "error CODE POS".
func answerError(err error) string {
	var e *filter.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("error %v %d", e.Code, e.Pos)
	}
	return answerBad
}
