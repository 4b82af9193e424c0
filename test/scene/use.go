package scene

// Use has scenes run a binary that somebody else built, in place of [Main].
func Use(path string) { binary = path }

// CopyTo copies the scene's folder, with all that was recorded in it, to a folder that does not
// exist. The keys stay where they are.
func (s *Scene) CopyTo(dir string) {
	s.TB.Helper()
	copyTree(s.TB, s.Dir, dir)
}
