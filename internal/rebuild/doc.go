// Package rebuild runs an attested build again, elsewhere and otherwise, and says whether it gave the
// same bytes.
//
// In this order:
//
//  1. [ReadPlan] takes from a provenance statement, which the caller has verified, what was built:
//     command, folder, commit, patterns of artifacts, recorded variables, and the digests that came
//     out. A build of another type, a run that failed, one of a work tree that was not the commit,
//     and one without artifacts are refused: there is nothing that a rebuild could show.
//  2. [Run] checks the commit out into a new folder and runs the command there. The environment
//     is made from nothing: the search path of this machine, a home and a temporary folder of
//     its own, the variables that the provenance recorded, those that the caller passes on, and
//     the variations. SOURCE_DATE_EPOCH is set only if it was recorded.
//  3. [Run] reads what matches the patterns. A link, a device or a file that changes meanwhile is an
//     error.
//  4. [Judge] compares by digest, artifact for artifact. A file that was not attested counts against
//     the build as much as one that is missing.
//  5. [Statement] says it as a test-result statement about the attested digests.
//
// A variation is something that should not matter and often does: the folder, the user, the zone, the
// language, the mask of file modes, the order in which files were created, the time. Each is listed
// as made or not made, with how, and one that could not be made is never said to have been. What
// the attested build had is mostly not recorded: made means that the rebuild was given a value
// that this machine does not have by itself.
//
// The command is foreign code with the caller's rights. It is run in a process group of its own, which
// is ended with it, and, where the system allows, as another user of a user namespace and without
// network. None of that confines it.
package rebuild

import "errors"

// Why a provenance cannot be rebuilt. Each is wrapped with what is the matter.
var (
	ErrType   = errors.New("not a build that can be run again")
	ErrFailed = errors.New("the attested run failed")
	ErrSource = errors.New("the source is not a commit alone")
	ErrShape  = errors.New("the provenance cannot be read")
)

// ErrBuild is wrapped when the command did not succeed the second time.
var ErrBuild = errors.New("the rebuild failed")
