// Package record keeps what a supervisor saw: one append-only, hash-chained journal for each run of
// an agent, or for a gateway that serves requests outside any run. docs/records.md is the format's
// specification; this is its summary.
//
// A record is a folder:
//
//	record.json      the header: what the record is of. Its digest is the record's id
//	000001.seg       entries, one a line; the next file begins where the last one ended
//	000001.salts     salts of the commitments in that segment; may be erased
//	000001.close     count and head when the segment was closed
//	raw/             texts, encrypted to the auditor's public keys, one a file; may be erased
//	erasures/        notes of what was erased, when, by whom and why
//	seal.json        count and head when the record ended: nothing can follow
//
// # The chain
//
// A line holds an entry as JSON, and before it the head of the chain up to and with that entry:
//
//	head(0) = SHA-256("sallyport-record/v0.1\n" || record.json)
//	head(n) = SHA-256(head(n-1) || line n)
//
// where a line is the bytes of the JSON as they stand in the file. So there is nothing to make
// canonical: who changes a byte, drops an entry or puts it elsewhere changes every later head, and
// with them the count and head that the seal, the run's attestation and the log hold.
//
// # Promises
//
//   - [Writer.Append] returns once its entry is durable. Entries that are appended at the same time
//     share one fsync.
//   - Entries stand in the order in which Append took them, and their times never go back.
//   - What is not durable was not acknowledged: a write that fails, for want of room say, is undone,
//     and the entries in it are refused. Where the system cannot say what is on the disk any more (a
//     failed fsync), the writer refuses all that follows.
//   - One writer at a time: a second one is refused.
//   - [Resume] takes a record up again whose writer was killed at any byte. It keeps every entry that
//     was acknowledged, puts aside what comes after the last whole one, and says so in the record.
//   - An entry never holds a text of a prompt or an answer, only a commitment to it: see [Commitment].
//     Salts and texts lie beside the chain and can be destroyed without touching it.
//
// What a record alone cannot show is that its writer was honest, or that nobody wrote the whole of
// it anew: for that, [Verify] compares it with the attestation that the supervisor signed and with
// the heads that stand in the log.
package record
