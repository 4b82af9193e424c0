package deep

// Protocol is the version of what is said. A worker is started with it as its only argument.
//
// A worker first writes one line with a [Hello], once it can serve. It reads one line with a
// [Request], confines itself, and writes one line with an [Answer]. Then it ends: whoever has parsed
// one hostile input answers for no other.
const Protocol = "1"

// Program is the helper program's name.
const Program = "sallyport-sbom"

// Bounds of what is said.
const (
	MaxRequest = 64 << 10
	MaxAnswer  = 256 << 20
)

// Kinds of input.
const (
	Folder = "folder"     // a folder, with all that lies below it
	File   = "file"       // a file: an archive, a package, an executable, or an image as one tar file
	Layout = "oci-layout" // a folder that holds one image as the OCI image layout has it
)

// A Hello is what a worker says when it is ready.
type Hello struct {
	Protocol string `json:"protocol"`
	Build    string `json:"build"` // what the helper was built from; see package helper
	Syft     string `json:"syft"`  // the version that is linked
}

// A Request names the one input of a worker.
type Request struct {
	Kind    string   `json:"kind"`
	Path    string   `json:"path"`    // absolute, links resolved
	Scratch string   `json:"scratch"` // the folder that may be written to; it is empty
	Exclude []string `json:"exclude"` // names of folders right below a Folder that are passed over
	Memory  uint64   `json:"memory"`  // bytes of address space that it may have
	Size    uint64   `json:"size"`    // bytes that a file it writes may have
	Seconds uint64   `json:"seconds"` // of processor time
}

// An Answer is what a worker found. What is in it was written by whoever made the input: nothing is
// believed about it, and all of it is checked by [Scan].
type Answer struct {
	Error      string      `json:"error,omitempty"` // nothing was found out
	Confined   Confinement `json:"confined"`
	Form       string      `json:"form"` // how the input was read: folder, file, oci-layout, oci-archive, docker-archive
	System     *System     `json:"system,omitempty"`
	Components []Component `json:"components"`
	Unread     []Unread    `json:"unread"`
}

// A Confinement says what a worker could no longer do when it read the first byte.
type Confinement struct {
	Files     bool   `json:"files"`     // read but its input, write but to its own folder (Landlock)
	Network   bool   `json:"network"`   // open a socket (seccomp), or at least use TCP (Landlock)
	Processes bool   `json:"processes"` // start a program or look into another process (seccomp)
	Limits    bool   `json:"limits"`    // take more memory, processor time and disk than it was told
	Landlock  int    `json:"landlock"`  // version of the kernel's interface; 0: none
	Note      string `json:"note,omitempty"`
}

// Whole reports whether nothing is missing.
func (c Confinement) Whole() bool { return c.Files && c.Network && c.Processes && c.Limits }

// A System is the operating system of an image.
type System struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// A Component is a package that was found.
type Component struct {
	Purl     string   `json:"purl"`
	Kind     string   `json:"kind"` // what Syft calls its type, such as "deb" or "go-module"
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Licences []string `json:"licences"` // SPDX expressions, or whatever the package calls its licence
	Hashes   []Hash   `json:"hashes"`
	Paths    []string `json:"paths"` // the files that tell of it
}

// A Hash is a digest of a component's file.
type Hash struct {
	Algorithm string `json:"algorithm"` // sha1, sha256, sha512
	Hex       string `json:"hex"`
}

// An Unread is a file that could not be read as what it is.
type Unread struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}
