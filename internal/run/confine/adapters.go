package confine

import (
	"fmt"
	"os/exec"
	"strings"
)

func adapterOffer(m Mechanism) Offer {
	o := Offer{Mechanism: m}
	if path, err := exec.LookPath(string(m)); err == nil {
		o.Why = fmt.Sprintf("%s is there, but this version of Sallyport only writes its settings, and neither starts nor checks it", path)
	} else {
		o.Why = string(m) + " is not installed"
	}
	o.Install = "use bubblewrap"
	return o
}

// pick returns the first usable offer.
func pick(offers []Offer) (Offer, error) {
	var why []string
	for _, o := range offers {
		if o.Usable {
			return o, nil
		}
		if o.Mechanism == Bubblewrap || o.Mechanism == Namespaces || o.Mechanism == Seatbelt {
			why = append(why, fmt.Sprintf("%s: %s", o.Mechanism, o.Why))
		}
	}
	install := ""
	if len(offers) > 0 {
		install = "; " + offers[0].Install
	}
	return Offer{}, fmt.Errorf("%w: %s%s", ErrUnavailable, strings.Join(why, "; "), install)
}
