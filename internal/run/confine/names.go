package confine

import (
	"encoding/binary"
	"net"
	"os"
	"strings"
	"sync"
)

// A nameServer answers every question for a name with a refusal, and tells the name.
type nameServer struct {
	conn net.PacketConn
	wg   sync.WaitGroup
}

// maxName and maxQuestion are DNS's own bounds, of a name and of a packet without extensions.
const (
	maxName     = 255
	maxQuestion = 1232
)

func newNameServer(f *os.File, events *eventQueue) (*nameServer, error) {
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	s := &nameServer{conn: c}
	s.wg.Go(func() { s.serve(events) })
	return s, nil
}

func (s *nameServer) serve(events *eventQueue) {
	b := make([]byte, maxQuestion)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return
		}
		name, answer, ok := refuseName(b[:n])
		if !ok {
			events.tell(Event{Kind: Network, Refused: true, Call: "dns", Detail: "a packet for a name server that is no question"})
			continue
		}
		events.tell(Event{Kind: Network, Refused: true, Call: "dns", Address: name})
		_, _ = s.conn.WriteTo(answer, from) // who asked may have gone
	}
}

// refuseName reads a DNS question and makes the answer that there is no such name, which makes
// programs give up at once instead of asking others.
func refuseName(q []byte) (name string, answer []byte, ok bool) {
	const header = 12
	if len(q) < header || q[2]&0x80 != 0 || binary.BigEndian.Uint16(q[4:]) != 1 {
		return "", nil, false
	}
	var b strings.Builder
	at := header
	for {
		if at >= len(q) {
			return "", nil, false
		}
		n := int(q[at])
		at++
		if n == 0 {
			break
		}
		if n > 63 || at+n > len(q) || b.Len()+n+1 > maxName {
			return "", nil, false
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for _, c := range q[at : at+n] {
			if c <= ' ' || c >= 0x7f || c == '.' || c == '\\' {
				c = '?' // it is only told
			}
			b.WriteByte(c)
		}
		at += n
	}
	if at+4 > len(q) {
		return "", nil, false
	}
	answer = append([]byte{}, q[:at+4]...)
	answer[2] = 0x80 | q[2]&0x79  // an answer, the opcode and "recursion desired" as asked
	answer[3] = 0x80 | 3          // recursion available; no such name
	for i := 6; i < header; i++ { // nothing but the question
		answer[i] = 0
	}
	if b.Len() == 0 {
		return ".", answer, true
	}
	return b.String(), answer, true
}

func (s *nameServer) close() {
	if s == nil {
		return
	}
	s.conn.Close()
	s.wg.Wait()
}
