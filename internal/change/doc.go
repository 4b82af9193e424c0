// Package change says what a change is, from git alone: which commits it brings, what landing
// it would do to the target's tree, cut into units, and which commits made each unit.
//
// # What is compared
//
// A change's files are the difference between the tree of Base, the target ref's tip, and the
// merge tree: what the target will hold once Head has landed. Where Base is an ancestor of Head,
// and where the ref is created at Head or rewritten to it, that is Head's own tree; otherwise it
// is the conflict-free merge of the two, made by git in a private folder. If there is none, the
// conflicts are told and there are no files: nothing can be said about a result that a person
// has yet to make.
//
// The diff algorithm is [Algorithm], always: units and digests must be the same wherever they
// are computed. Files of which git compares no lines (over [git.BigFile], or holding a NUL byte),
// or that have a line over a mebibyte, are one unit each. Renames are paired only where blob and
// mode are equal; a rename with edits is a file deleted and a file added.
//
// # Who made it
//
// A unit names every commit of the range whose own diff adds, or removes, the same lines at the
// same path, so whoever it is attributed to is never better than who may have made it. A
// commit's own diff is against its parent; of a merge, against the conflict-free merge of its
// parents; of a merge that had conflicts, what differs from each of its parents. Commits that
// touched the file under a name it had before in the range count too. If no commit accounts for
// a line in this way, all that touched the file do; if none touched it, Commits is empty.
//
// # Bounds
//
// Diffs are read as a stream, and of lines only hashes are kept. More than [MaxCommits] commits
// or [MaxFiles] files are an error. Files past [MaxLines] changed lines in all are one unit each,
// marked as truncated. A shallow clone is [git.ErrShallow]: what is cut off could be anything.
package change
