package evasion

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// logs are attacks on the record. Each has decisions in it already.
var logs = []row{
	{
		name: "log missing", attack: "the log's folder is deleted", from: attested,
		do:     tampered(func(s *scene.Scene) { remove(s, s.State("log")) }),
		status: sallyport.ExitUndecided, says: "log-missing",
	},
	{
		name: "store missing", attack: "the store is deleted, so that nothing remembers the log", from: attested,
		do: tampered(func(s *scene.Scene) {
			remove(s, s.State("state.db"), s.State("state.db-wal"), s.State("state.db-shm"))
		}),
		status: sallyport.ExitUndecided, says: "log-missing",
	},
	{
		name: "log's key missing", attack: "the log's key is deleted, so that a new one is made", from: attested,
		do:     tampered(func(s *scene.Scene) { remove(s, s.State("log.key")) }),
		status: sallyport.ExitUndecided, says: "log-missing",
	},
	{
		name: "log rolled back", attack: "an older copy of the log is put in its place", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Check()
			old := filepath.Join(s.Dir, "old-log")
			s.CopyFolder(s.State("log"), old)
			s.AgentCommit("Nothing yet") // the same question within a second is one decision
			s.Check()
			if attack {
				s.CopyFolder(old, s.State("log"))
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "log-rolled-back",
	},
	{
		name: "another log", attack: "the log and its key are replaced by those of another repository", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			there := s.Fork(s.TB)
			there.Check()
			s.Check()
			if attack {
				s.CopyFolder(there.State("log"), s.State("log"))
				b, err := os.ReadFile(there.State("log.key"))
				if err != nil {
					s.TB.Fatal(err)
				}
				if err := os.WriteFile(s.State("log.key"), b, 0o600); err != nil {
					s.TB.Fatal(err)
				}
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "log-foreign",
	},
	{
		name: "log that the configuration names", attack: "the whole state folder is deleted, so that nothing here remembers anything", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s.Must("log", "init", "--repo", s.Repo, "--origin", "example.com/log")
			var st struct{ Key string }
			if err := json.Unmarshal([]byte(s.Must("log", "status", "--repo", s.Repo, "--json")), &st); err != nil {
				s.TB.Fatal(err)
			}
			kept := s.State()
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{
				".sallyport/sallyport.yaml": scene.Config + "log:\n  origin: example.com/log\n  key: " + st.Key + "\n",
			}})
			s.CopyFolder(kept, s.State())
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			s.AttestRun("main", "HEAD")
			if attack {
				remove(s, s.State())
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "log-missing",
	},
	{
		name: "log entry changed", attack: "the digest of a decision is changed in the log", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			v := s.Check()
			if attack {
				replaceIn(s, s.State("log"), v.ID.Hex())
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "log-rewritten",
	},
}

// tampered plays a check, what the attacker does then, and another check.
func tampered(attacker func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		if v := s.Check(); v.Status != sallyport.ExitOpen {
			s.TB.Errorf("before the attack: %v", v.Result)
		}
		if attack {
			attacker(s)
		}
		return s.Check()
	}
}

func remove(s *scene.Scene, paths ...string) {
	s.TB.Helper()
	for _, p := range paths {
		if err := os.RemoveAll(p); err != nil {
			s.TB.Fatal(err)
		}
	}
}

// replaceIn changes one hexadecimal digit of a digest wherever it stands in a folder's files.
func replaceIn(s *scene.Scene, dir, hex string) {
	s.TB.Helper()
	other := []byte(hex)
	other[0] = either[byte](other[0] == '0', '1', '0')
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(hex)) {
			return err
		}
		n++
		return os.WriteFile(path, bytes.ReplaceAll(b, []byte(hex), other), 0o600)
	})
	if err != nil || n == 0 {
		s.TB.Fatalf("%d files of the log hold the decision %s: %v", n, hex, err)
	}
}
