package mask

// A Recogniser finds what only a configuration can know.
type Recogniser struct {
	Kind  Kind
	Words []string
}

type personal struct{}

func newPersonal(kinds []Kind, rs []Recogniser) (*personal, error) { return nil, nil }

func (s *search) personalData() {}
func (s *search) documents()    {}
func (s *search) hashes()       {}

type Documents struct{}
type HashList struct{}

func AllPersonal() []Kind { return nil }
