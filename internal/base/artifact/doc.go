// Package artifact compares two artifacts and says what differs inside, down to the member of an
// archive, and what usually causes and cures it.
//
// Two artifacts are equal if they have the same bytes. Nothing else makes them equal: a reader
// that skipped something, gave up or did not know the format never does. Of two that are not
// equal there is always at least one [Difference], if only the offset of the first byte.
//
// [Compare] looks into, each as deep as [Limits] allow and by the bytes alone, whatever a file is
// called:
//
//   - tar: order of members, and of each its kind, mode, owner, times, link and extended records,
//     and how its header is written;
//   - gzip and bzip2: the header's time, name, system and level, then the content;
//   - zip, and what is one (jar, wheel, apk): order, time, extra fields, method, attributes,
//     comments;
//   - ar, and with it Debian packages;
//   - OCI image layouts in a tar: blobs are paired by the place that the index and the manifest
//     give them, since their names are their digests;
//   - ELF, PE and Mach-O: build ids, link times, what Go recorded of its build, and sections;
//   - JSON: the first differing path of each kind, and whether only the order of keys or
//     elements differs;
//   - text: the first differing line of each kind, and whether only the order of lines differs;
//   - anything else: the first differing byte with what stands around it.
//
// What stands in two lines, values or strings at the same place is compared with times, paths, names
// of users and hosts, identifiers and digests taken out, one kind after the other: where the
// rest is the same, the difference is of that kind. [Facts] about the two builds (the
// checkout's path, the user, the time) make that sharper, and are never needed.
//
// The cause is a guess, and worded as one. That there is a difference, and where, is not.
//
// Artifacts are hostile input. Sizes, members, depth and what may be unpacked are bounded; what
// lies beyond a bound is listed under Unexamined. Compare(b, a) gives what Compare(a, b) gives,
// with the sides exchanged.
package artifact
