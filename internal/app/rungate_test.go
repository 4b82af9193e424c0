package app

import (
	"context"
	"fmt"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/predicate"
)

type keptRecords struct{ prompt.Journal }

func (keptRecords) Append(context.Context, *prompt.Record, []byte) error { return nil }

// What the statement has no room to name is not sent: the merge gate judges the models that it names.
func TestModelsPastTheStatement(t *testing.T) {
	traffic := newRunTraffic()
	j := traffic.journal(keptRecords{})
	ask := func(n int) error {
		return j.Append(t.Context(), &prompt.Record{Kind: prompt.KindRequest, Models: []prompt.ModelUse{{Name: fmt.Sprintf("model-%d", n)}}}, nil)
	}
	for n := range maxNamed {
		if err := ask(n); err != nil {
			t.Fatalf("model %d: %v", n, err)
		}
	}
	if err := ask(maxNamed); err == nil {
		t.Error("a model is sent to that the statement does not name")
	}
	if err := ask(0); err != nil {
		t.Errorf("a model that is named: %v", err)
	}
	var p predicate.AgentRun
	traffic.fill(&p)
	if len(p.Models) != maxNamed {
		t.Errorf("the statement names %d models", len(p.Models))
	}
}
