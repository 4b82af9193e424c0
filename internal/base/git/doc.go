// Package git reads a git repository through the real git binary (2.39 or newer) without ever
// running anything that the repository, its owner's configuration or the environment names.
//
// A repository is hostile input. Its configuration can name programs (fsmonitor, hooks, merge
// drivers, filters, text converters, external diffs, pagers, ssh commands, credential helpers,
// aliases), its attributes can switch them on, replacement refs and grafts can change what
// history says, and environment variables can do all of it at once. So nothing runs in the
// repository itself:
//
//   - [Open] finds the repository's folders by reading files (.git, commondir), and makes a
//     private, temporary, bare GIT_DIR of the same object format. Its configuration is ours,
//     its HEAD is unborn, it has no refs, no attributes, no grafts, no hooks and no commit
//     graph, and it sees the repository's objects as alternates. Every git process runs there.
//   - The environment of those processes is built from nothing: the executable search path and
//     the folder for temporary files are passed on, all else is set here. No inherited GIT_
//     variable survives; system and global configuration, replacement refs, prompts, lazy
//     fetches and all transports are off.
//   - Refs are read by this package from the real repository's files, as bytes. No ref name
//     ever reaches a git command line: it is resolved to an object id first.
//   - Objects that git makes on the way (the trees of replayed merges) land in the private
//     folder, which [Repo.Close] removes. The repository is never written, but
//     for [Repo.Publish] and [Repo.Rebuild].
//   - [Repo.Fetch] and [Repo.Push] alone speak to a remote. They run in the private folder too, and
//     for them the caller's own git configuration, ssh and credential helpers count, since nothing
//     else can log in; see there. What they bring and make stays in the private folder.
//   - [Repo.Checkout] writes a commit's files into an empty folder of the caller's, as a repository
//     of its own with our configuration, that reads r's objects.
//
// What may be read from the repository's own configuration are data: the object format, the ref
// storage, and where a branch's upstream is. Included files are not followed.
//
// Every object that is read is hashed again and compared with its id, so a doctored pack index
// cannot pass one object off as another. Trees that git itself reads while it compares or
// merges are not: whoever can write into the object store of the machine that decides is
// outside what this package defends against.
//
// Reads are bounded by the caller's limit, waits by the context and by [WithTimeout]. What git
// says on its standard error is folded into one line of the returned error. A Repo is safe for
// concurrent use; object reads share one process and take turns.
//
// The package knows nothing of gates or changes.
package git
