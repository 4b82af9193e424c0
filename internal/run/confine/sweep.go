package confine

import "os"

// sweep looks for what no mount could keep from coming to be. What is found is put out of git's
// sight, not deleted, since it is evidence.
func (p *plan) sweep(events *eventQueue) {
	for _, path := range p.guards {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		e := Event{Kind: Write, Refused: true, Call: "sweep", Path: path, Detail: "it would make git read configuration and hooks from elsewhere; it was moved to " + path + ".refused"}
		if err := os.Rename(path, path+".refused"); err != nil {
			e.Refused, e.Detail = false, "it makes git read configuration and hooks from elsewhere, and could not be moved away: "+err.Error()
		}
		events.tell(e)
	}
}
