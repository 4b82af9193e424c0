package tessera

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const killEnv = "SALLYPORT_TEST_LOG_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(killEnv); spec != "" {
		if err := writeUntilKilled(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// A writerSpec tells the child what to open.
type writerSpec struct {
	Dir, Key, SigningKey string
	First                int
	Known                tlog.Head
}

// An ack is what the child prints once Append has returned.
type ack struct {
	Index uint64
	Leaf  string // hex
	Head  tlog.Head
}

// writeUntilKilled appends for ever, as a command would: it opens the log for a few entries,
// sometimes asks for a checkpoint, closes it and begins again.
func writeUntilKilled(spec string) error {
	var s writerSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	signer, err := note.NewSigner(s.SigningKey)
	if err != nil {
		return err
	}
	ctx := context.Background()
	out := json.NewEncoder(os.Stdout)
	for i := s.First; ; {
		l, err := Open(ctx, s.Dir, Options{Origin: testOrigin, Signer: signer, VerifierKey: s.Key, Known: &s.Known})
		if err != nil {
			return err
		}
		for range 1 + rand.IntN(4) {
			leaf, err := tlog.Leaf("decision", testDigest(i))
			if err != nil {
				return err
			}
			i++
			index, head, err := l.Append(ctx, leaf)
			if err != nil {
				return err
			}
			s.Known = head
			if err := out.Encode(ack{index, hex.EncodeToString(leaf), head}); err != nil {
				return err
			}
		}
		if rand.IntN(3) == 0 {
			if _, err := l.Checkpoint(ctx); err != nil {
				return err
			}
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
}

// A writer is killed at random moments, again and again. Whatever it acknowledged is in the log,
// at the index it named; the log verifies, has had the last acknowledged head, and goes on.
// SALLYPORT_KILLS sets the number of rounds.
func TestKill(t *testing.T) {
	rounds := 40
	if s := os.Getenv("SALLYPORT_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	f, signingKey := newFixtureWithKey(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		spec, err := json.Marshal(writerSpec{f.dir, f.key, signingKey, round * 1_000_000, f.head})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"="+string(spec))
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// From the start of the process, so that some kills fall into opening.
		wait := time.Duration(rand.Int64N(int64(200 * time.Millisecond)))
		kill := time.AfterFunc(wait, func() { cmd.Process.Kill() })
		acks := bufio.NewScanner(stdout)
		for acks.Scan() {
			var a ack
			if json.Unmarshal(acks.Bytes(), &a) != nil {
				break // the line that was being written
			}
			leaf, err := hex.DecodeString(a.Leaf)
			if err != nil {
				t.Fatal(err)
			}
			f.acked[a.Index], f.head = leaf, a.Head
		}
		err = cmd.Wait()
		kill.Stop()
		if cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the writer ended by itself: %v", round, err)
		}
		if round%8 == 7 || round == rounds-1 {
			f.check(t)
		}
	}
	t.Logf("%d kills, %d acknowledged entries", rounds, len(f.acked))
	f.grow(t, 1)
	f.check(t)
}
