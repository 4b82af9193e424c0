//go:build unix

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/internal/tlog/tessera"
)

// What the project aims at for the record of decisions.
const (
	aimAppends  = 300.0
	aimAppend   = 5 * time.Millisecond
	aimProof    = 150 * time.Millisecond
	aimInserts  = 0.9 // of the disk's own rate
	recordTurns = 3
	recordBatch = 150
)

// record measures the two places in which a decision becomes durable, with one writer who waits
// for each: the log, and the store beside what the disk itself can do. They take turns.
func (b *bench) record(ctx context.Context) error {
	dir, err := os.MkdirTemp(b.dir, "record")
	if err != nil {
		return err
	}
	k, err := tlog.NewKey("bench.example/log")
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "log")
	if _, err := tessera.Create(ctx, folder, k.Origin, k.Signer); err != nil {
		return err
	}
	l, err := tessera.Open(ctx, folder, tessera.Options{Origin: k.Origin, Signer: k.Signer, VerifierKey: k.Verifier})
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "state.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	disk, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return err
	}
	defer disk.Close()

	var body [1024]byte
	var appends, proofs, rows, inserts, syncs []time.Duration
	n := uint64(0)
	for range recordTurns {
		for range recordBatch {
			n++
			binary.BigEndian.PutUint64(body[:], n)
			leaf, err := tlog.Leaf("decision", sallyport.SHA256(body[:]))
			if err != nil {
				return err
			}
			began := time.Now()
			index, _, err := l.Append(ctx, leaf)
			if err != nil {
				return err
			}
			appends = append(appends, time.Since(began))
			if n%10 == 0 { // a proof that is waited for is made at once, not with the next checkpoint
				if _, err := l.Prove(ctx, index); err != nil {
					return err
				}
				proofs = append(proofs, time.Since(began))
			}
		}
		for range recordBatch {
			n++
			binary.BigEndian.PutUint64(body[:], n)
			began := time.Now()
			if _, err := db.AddEntry(ctx, "bench", body[:]); err != nil {
				return err
			}
			inserts = append(inserts, time.Since(began))
		}
		for range recordBatch {
			n++
			binary.BigEndian.PutUint64(body[:], n)
			began := time.Now()
			if _, err := db.PutBlob(ctx, body[:]); err != nil {
				return err
			}
			rows = append(rows, time.Since(began))
		}
		for range recordBatch {
			began := time.Now()
			if _, err := disk.Write(make([]byte, 4096)); err != nil {
				return err
			}
			if err := fdatasync(disk); err != nil {
				return err
			}
			syncs = append(syncs, time.Since(began))
		}
	}
	fmt.Fprintf(b.out, "\nthe record, one writer who waits; %d of each, by turns\n", recordTurns*recordBatch)
	w := table(b.out)
	fmt.Fprintln(w, "\ta second\tp50 ms\tp99 ms\t× fdatasync\t")
	for _, r := range []struct {
		name string
		ds   []time.Duration
	}{{"append 4 KiB, fdatasync", syncs}, {"store: durable insert of 1 KiB", rows}, {"store: the same, and its entry for the log", inserts}, {"log: append, integrated", appends}, {"log: append and proof", proofs}} {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%.2f\t\n", r.name, rate(r.ds), ms(median(r.ds)), ms(at99(r.ds)), rate(r.ds)/rate(syncs))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "aims: %.0f appends a second (%s), p50 %s ms (%s), proof within %s ms (%s), inserts at %.1f of fdatasync (%s)\n",
		aimAppends, met(rate(appends) >= aimAppends), ms(aimAppend), met(median(appends) <= aimAppend),
		ms(aimProof), met(at99(proofs) <= aimProof), aimInserts, met(rate(rows)/rate(syncs) >= aimInserts))
	return nil
}

// rate is how many a second follow from the median: a stall of a shared disk would otherwise
// decide.
func rate(ds []time.Duration) float64 { return float64(time.Second) / float64(max(median(ds), 1)) }

func at99(ds []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(ds))
	return s[len(s)*99/100]
}
