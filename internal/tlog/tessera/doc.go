// Package tessera keeps a transparency log in a folder, with Tessera's POSIX driver as the engine.
//
// The folder is laid out as C2SP tlog-tiles says (checkpoint, tile/…, tile/entries/…), so any
// client of that specification can read it; .state/ is private to the writer.
//
// # What Tessera does, and what is done here
//
// Tessera sequences entries, integrates them into tiles and makes each step durable: files are
// written with O_SYNC, renamed, and their folder is synced, entries before tiles before
// .state/treeState, which is what counts. When [Log.Append] returns, all of that has happened;
// a kill or a power cut at any moment loses no entry whose Append returned. An entry whose Append
// did not return may be in the log or not, so the same leaf may come to stand in it twice.
//
// Tessera trusts its folder, and three of its habits are not acceptable here:
//
//   - it makes a new, empty log wherever it finds none. [Open] checks first, and gives Tessera
//     a signer that refuses, so that a folder that vanishes between the check and the opening
//     does not become a fresh log with a valid signature;
//   - .state/treeState is unsigned, and Tessera would sign whatever it says. Open recomputes the
//     root from the tiles, and compares it at three sizes: the integrated one, the published
//     checkpoint's, and that of the newest head that the caller knows. From there on the root
//     is computed here, entry by entry, and only that root is signed;
//   - its publisher waits, and shutting it down waits for it, up to 100 ms and more. Here a
//     checkpoint is signed and written when somebody asks ([Log.Checkpoint], [Log.Prove]), after
//     some time in a process that lives long, and by the next opener if the last process left
//     the published checkpoint behind. [Log.Close] waits for what is being written and nothing
//     else.
//
// # Trust
//
// [Open] and [Reader.Check] read O(log n) tiles and the last bundle of entries. They notice a
// log that is missing, rolled back, foreign, or inconsistent at those places; that every entry
// is the one that was logged is what [Verify] shows, which reads all of it. None of them can
// notice that entries newer than both the checkpoint and the caller's head were removed: a caller
// that acts on an entry must remember the head that Append returned.
//
// # Concurrency
//
// A folder has one writer: a lock file, released by the kernel when its holder dies, is held from
// Open to Close, and Open waits for it for up to ten seconds. A Log is safe for concurrent use.
// Readers need no lock and may read while a writer writes.
package tessera
